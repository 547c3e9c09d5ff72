"""What a model will take of a GPU: the command as people call it, and the decisions behind it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfgate.cli.main import build_parser, main
from perfgate.measure.emulator.profiles import PROFILES
from perfgate.measure.pool import Pool
from perfgate.predict.dry_runs import DryRuns
from perfgate.predict.emulated_step import CARDS, EmulatedStep, card_of
from perfgate.predict.gpu_catalog import GPUS, find_gpu
from perfgate.predict.memory_fit import (
    CONTEXT_BYTES,
    MAX_BATCH,
    Largest,
    Prediction,
    Remedy,
    StepCost,
    extrapolated,
    largest_batch,
)
from perfgate.predict.memory_fit import room_bytes as room_of
from perfgate.predict.options import OPTIONS, described
from perfgate.predict.predict import DRY_RUN, find_largest
from perfgate.predict.question import Question
from perfgate.predict.suggestions import decides_resident, remedies, resident_bytes
from perfgate.reports.formats import terminal
from perfgate.reports.prediction import prediction_report
from perfgate.shared.errors import UserError
from perfgate.shared.settings import TRAINING
from perfgate.workloads.models.shapes import find_shape, read_shapes
from tests.support.runs import perfgate

PARTS = ("weights", "buffers", "gradients", "optimizer_state", "activations", "temporaries")
KEYS = {
    "peak_memory_bytes",
    "memory_by_part_bytes",
    "flops",
    "flops_by_group",
    "operator_calls",
    "roofline_s",
    "fits",
    "max_batch_size",
    "max_batch_size_capped",
    "gpu",
    "gpu_room_bytes",
    "model",
    "workload",
    "remedies",
    "emulated",
    "components",
    "in_blocks",
}
T4 = find_gpu("T4")
quickly = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def gpt2(folder: Path, **changes: Any) -> Path:
    """A folder with the configuration of a GPT-2 of one layer and no weights."""
    folder.mkdir(exist_ok=True)
    config = {"model_type": "gpt2", "n_embd": 128, "n_layer": 1, "n_head": 4, "vocab_size": 1000, "n_positions": 64}
    config |= {"architectures": ["GPT2LMHeadModel"], **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def parameters(width: int, vocabulary: int, positions: int) -> list[int]:
    """Sizes of the parameters of such a GPT-2, by its description; the head is the embedding."""
    norm = [width, width]
    attention = [3 * width * width, 3 * width, width * width, width]
    feedforward = [4 * width * width, 4 * width, 4 * width * width, width]
    return [vocabulary * width, positions * width, *norm, *attention, *norm, *feedforward, *norm]


def ledger(peak: int = 1000, **changes: Any) -> StepCost:
    """A ledger of a step, all of it activations."""
    parts = dict.fromkeys(PARTS, 0) | {"activations": peak}
    return replace(StepCost(peak, parts, 10**12, {"contractions": 10**12}, 100, 0.5), **changes)


# The command


@pytest.mark.slice
def test_a_model_without_weights_is_predicted_as_json(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "tiny")
    options = ("--batch-size", "4", "--seq-len", "32", "--gradient-accumulation", "6", "--gpu", "t4", "--json")

    done = perfgate("predict", "--model", folder, *options, "--emulate")

    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert set(found) == KEYS
    parts = found["memory_by_part_bytes"]
    assert tuple(parts) == PARTS
    assert sum(parts.values()) == found["peak_memory_bytes"] < room_of(T4)
    rounded = sum(-(-4 * size // 512) * 512 for size in parameters(128, 1000, 64))
    assert parts["weights"] == rounded
    assert parts["optimizer_state"] == 2 * rounded
    assert sum(found["flops_by_group"].values()) == found["flops"] > 0
    # Two for each multiply-add of the forward pass, twice that for the backward pass.
    matrices = 12 * 128 * 128 + 1000 * 128
    assert found["flops"] == pytest.approx(6 * matrices * 4 * 32 * 6, rel=0.15)
    assert found["roofline_s"] > found["flops_by_group"]["contractions"] / T4.flops_per_s["float32"]
    assert (found["fits"], found["gpu"], found["remedies"]) == (True, "T4", [])
    assert 4 < found["max_batch_size"] <= MAX_BATCH
    assert found["workload"]["params"]["gradient_accumulation"] == 6
    step = found["emulated"]
    assert step["card"] == "t4-16gb"
    # Where torch is built for CUDA the step runs; elsewhere the answer says what is missing.
    assert (
        step["reserved_bytes"] >= step["allocated_bytes"] > parts["weights"]
        if not step["why"]
        else "torch" in step["why"]
    )


@pytest.mark.slice
def test_what_does_not_fit_is_said_to_with_a_change_that_helps(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "wide", n_embd=8192, vocab_size=50_000)

    done = perfgate("predict", "--model", folder, "--batch-size", "2", "--seq-len", "16", "--gpu", "T4")

    assert (done.returncode, done.stderr) == (0, "")
    assert "wide, causal-lm: batch_size=2, sequence_length=16" in done.stdout
    assert "Does not fit: " in done.stdout
    assert "Not even a batch of one sample fits." in done.stdout
    assert "It fits with --optimizer adafactor." in done.stdout
    assert "│ --activation-checkpointing │" in done.stdout
    assert "bf16" not in done.stdout  # which a T4 does not compute in


@pytest.mark.slice
def test_a_model_that_cannot_run_dry_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "other", architectures=["GPT2ForWhatever", "NoSuchForMaskedLM"])

    done = perfgate("predict", "--model", folder, "--batch-size", "2", "--seq-len", "16")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("perfgate: no dry run: wrong model: transformers ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--model bert-lage", "unknown model 'bert-lage'; it may be gpt2, "),
        ("--model bert-lage", "(did you mean bert-large-uncased?); or give a folder that holds its config.json"),
        ("--model {folder}", "the config.json of model folder {folder} cannot be read"),
        ("--model gpt2 --gpu H1000", "GPU 'H1000' is not known; near it are H200, H100-SXM-80GB"),
        ("--model gpt2 --task causal", "unknown task 'causal'; it may be causal-lm, "),
        ("--model gpt2 --task masked-lm", "model 'gpt2' has no class for masked-lm; it has classes for causal-lm"),
        ("--model gpt2 --optimizer adamw", "(did you mean adamw_torch?)"),
        (
            "--model gpt2 --precision fp16",
            "setting 'precision' is 'fp16'; it may be fp32, tf32, bf16, bf16-amp, fp16-amp, fp8-amp",
        ),
        ("--model gpt2 --mode forward --precision bf16-amp", "setting 'precision' is 'bf16-amp'; it may be fp32, bf16"),
        ("--model gpt2 --mode forward --optimizer sgd", "--optimizer is not for --mode forward"),
        ("--model gpt2 --new-tokens 4", "--new-tokens is not for --mode train"),
        ("--model gpt2 --batch-size 0", "setting 'batch_size' must be a positive whole number, not 0"),
        ("--model gpt2 --batch-size 1000000", "no dry run: it takes batches of at most 65536 such samples"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_sentence(
    arguments: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "--batch-size", "2", "--seq-len", "16", *arguments.format(folder=tmp_path).split()]

    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said.format(folder=tmp_path) in err
    assert err.startswith("perfgate: ")
    assert err.count("\n") == 1


def test_a_text_needs_a_length(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--model", "gpt2", "--batch-size", "2"]) == 2
    assert capsys.readouterr().err == "perfgate: --seq-len is missing: how many tokens a sample has\n"


# Dry runs, asked for


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DryRuns]:
    """A fork server that stays for all tests of this file."""
    programs = [f"perfgate.actor.programs.{name}" for name in ("trainer", "forward", "generation")]
    pool = Pool([*programs, DRY_RUN], tmp_path_factory.mktemp("servers"), size=1)
    yield DryRuns(pool, T4)
    pool.close()


def ask(folder: Path, mode: str = "train", **options: Any) -> Question:
    """A question about such a GPT-2."""
    return Question.of_options(find_shape(str(folder)), None, mode, {"batch_size": 2, "seq_len": 32, **options})


@pytest.mark.parametrize("more", [{}, {"precision": "bf16-amp"}, {"activation_checkpointing": True}], ids=str)
@pytest.mark.slice
def test_many_micro_batches_follow_from_few(dry: DryRuns, tmp_path: Path, more: Mapping[str, Any]) -> None:
    question = ask(gpt2(tmp_path / "tiny"), gradient_accumulation=5, **more)

    followed = dry.of(question)
    whole = DryRuns(dry.pool, dry.gpu)._of(question)

    assert followed.roofline_s == pytest.approx(whole.roofline_s)
    assert not followed.in_blocks
    assert replace(followed, roofline_s=None) == replace(whole, roofline_s=None, in_blocks={})


@pytest.mark.parametrize("mode", ["train", "forward", "generate"])
@pytest.mark.slice
def test_the_largest_batch_fits_and_one_more_does_not(dry: DryRuns, tmp_path: Path, mode: str) -> None:
    question = ask(gpt2(tmp_path / "tiny"), mode)
    room = 1 << 26

    def peak(batch_size: int) -> int:
        return dry.of(question.but({"batch_size": batch_size})).peak_memory_bytes

    taken = dry.taken
    largest = find_largest(question, dry, room).batch_size

    assert dry.taken - taken <= 6
    assert 2 < largest < MAX_BATCH
    assert peak(largest) <= room < peak(largest + 1)


@pytest.mark.parametrize("mode", ["forward", "generate"])
def test_half_the_precision_is_half_the_weights(dry: DryRuns, tmp_path: Path, mode: str) -> None:
    folder = gpt2(tmp_path / "tiny")

    full, half = (dry.of(ask(folder, mode, precision=precision)) for precision in ("fp32", "fp16"))

    assert full.memory_by_part_bytes["weights"] == pytest.approx(2 * half.memory_by_part_bytes["weights"], rel=0.01)
    assert full.flops == half.flops
    assert half.roofline_s is not None
    assert full.roofline_s is not None
    assert half.roofline_s < full.roofline_s


# Decisions


@quickly
@given(base=st.integers(0, 10**10), slope=st.integers(1, 10**8), first=st.integers(1, 512), rounded=st.booleans())
def test_along_a_line_the_largest_batch_takes_few_looks(base: int, slope: int, first: int, rounded: bool) -> None:
    room, seen = 8 * 10**9, []

    def peak(batch_size: int) -> int:
        seen.append(batch_size)
        size = base + slope * batch_size
        return -(-size // 512) * 512 if rounded else size

    largest = largest_batch(peak, room, [first])

    assert len(seen) == len(set(seen)) <= 8
    assert largest.batch_size == 0 or peak(largest.batch_size) <= room
    assert largest.capped or peak(largest.batch_size + 1) > room


@quickly
@given(
    lines=st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10**8)), min_size=1, max_size=4),
    bend=st.sampled_from([min, max]),
    first=st.integers(1, 512),
    cap=st.integers(1, MAX_BATCH),
)
def test_along_bent_lines_the_largest_batch_is_exact_all_the_same(
    lines: list[tuple[int, int]], bend: Any, first: int, cap: int
) -> None:
    room, seen = 8 * 10**9, []

    def peak(batch_size: int) -> int:
        seen.append(batch_size)
        return int(bend(base + slope * batch_size for base, slope in lines))

    largest = largest_batch(peak, room, [first], cap)

    assert len(seen) == len(set(seen)) <= 40
    assert max(seen) <= cap
    assert largest.capped == (largest.batch_size == cap)
    assert largest.batch_size == 0 or peak(largest.batch_size) <= room
    assert largest.capped or peak(largest.batch_size + 1) > room


@quickly
@given(base=st.integers(0, 10**10), slope=st.integers(1, 10**8), wrong=st.integers(-3, 3))
def test_an_expected_largest_batch_is_checked_with_two_looks(base: int, slope: int, wrong: int) -> None:
    room, seen = 8 * 10**9, []

    def peak(batch_size: int) -> int:
        seen.append(batch_size)
        return base + slope * batch_size

    fits = min(max((room - base) // slope, 0), MAX_BATCH)
    expected = max(fits + wrong, 0)

    assert largest_batch(peak, room, [expected + 1, expected]).batch_size == fits
    assert len(seen) <= (2 if expected == fits else 8)


def test_a_plateau_before_the_activations_take_over_is_seen_through() -> None:
    seen = []

    def peak(batch_size: int) -> int:
        seen.append(batch_size)
        return max(20 * 2**30, 6 * 2**30 + batch_size * 2**30 // 2)

    assert largest_batch(peak, 79 * 2**30, [8]) == Largest(146)
    assert len(seen) <= 8


def test_work_grows_with_each_micro_batch_from_the_second_on() -> None:
    two, three = ledger(1000, flops=20, roofline_s=1.0), ledger(1010, flops=30, roofline_s=1.5)

    assert extrapolated(two, three, 0) == two
    assert extrapolated(two, three, 1) == three
    assert extrapolated(two, three, 8) == ledger(1080, flops=100, roofline_s=5.0)
    assert extrapolated(replace(two, roofline_s=None), replace(three, roofline_s=None), 7).roofline_s is None


@pytest.mark.parametrize("gpu", GPUS.values(), ids=list(GPUS))
def test_driver_and_context_take_a_share_of_every_gpu(gpu: Any) -> None:
    # The totals that CUDA reports, less its context: 22.0 GiB of an L4's 24, 79.1 GiB of an H100's 80.
    gddr6_with_ecc = gpu.name in ("A10", "A10G", "A40", "L4", "L40S", "T4")
    share = (room_of(gpu) + CONTEXT_BYTES) / gpu.memory_bytes
    assert share == pytest.approx(0.9175 if gddr6_with_ecc else 0.98)


chosen = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 64), "sequence_length": st.just(16)},
    optional={
        "gradient_accumulation": st.integers(1, 4),
        "activation_checkpointing": st.booleans(),
        # The recipe for 8 bits is of the plain loop, which is not predicted.
        "precision": st.sampled_from([name for name in TRAINING.by_name["precision"].values if name != "fp8-amp"]),
        "optimizer": st.sampled_from(TRAINING.by_name["optimizer"].values),
        "attention": st.sampled_from(["eager", "sdpa"]),
        "lora_rank": st.sampled_from([0, 8]),
    },
)


@quickly
@given(asked=chosen, largest=st.integers(0, 64), dtypes=st.sampled_from([("float16",), ("float16", "bfloat16")]))
def test_every_change_is_a_new_one_that_the_task_accepts(
    asked: dict[str, Any], largest: int, dtypes: tuple[str, ...]
) -> None:
    question = Question(find_shape("gpt2"), None, "train", asked)

    changes = remedies("train", asked, largest, dtypes)

    workloads = [question.but(change).workload.sha256 for change in changes]
    assert len({*workloads, question.workload.sha256}) == len(changes) + 1
    counts = {asked.get("gradient_accumulation", 1) * asked["batch_size"]}
    for change in changes:
        changed = asked | dict(change)
        counts.add(changed.get("gradient_accumulation", 1) * changed["batch_size"])
        assert "bfloat16" in dtypes or "bf16" not in str(change)
    assert len(counts) == 1
    sizes = [len(change) - ("gradient_accumulation" in change) for change in changes]
    assert sizes == sorted(sizes, key=lambda size: size > 1)  # each alone comes first


def test_changes_come_in_the_order_of_what_they_cost() -> None:
    asked = {"batch_size": 12, "sequence_length": 128, "attention": "eager"}
    one = {"batch_size": 1, "gradient_accumulation": 12}
    saving = {"attention": "sdpa", "activation_checkpointing": True}
    half = {**saving, "precision": "bf16"}

    assert remedies("train", asked, 5, ("float16", "bfloat16")) == [
        {"attention": "sdpa"},
        {"batch_size": 4, "gradient_accumulation": 3},
        {"batch_size": 3, "gradient_accumulation": 4},
        one,
        {"activation_checkpointing": True},
        {"precision": "bf16-amp"},
        {"precision": "bf16"},
        {"optimizer": "adafactor"},
        {"optimizer": "sgd"},
        {"lora_rank": 16},
        {**saving, **one},
        half,
        {**half, "optimizer": "adafactor"},
        {**half, "lora_rank": 16},
        {**half, "lora_rank": 16, **one},
    ]
    assert one not in remedies("train", asked, 0, ("float16", "bfloat16"))


def test_inference_can_only_change_how_it_computes() -> None:
    asked = {"batch_size": 8, "attention": "eager"}

    assert remedies("forward", asked, 4, ("float16",)) == [{"attention": "sdpa"}, {"precision": "fp16"}]
    assert remedies("generate", {"precision": "bf16"}, 4, ("float16", "bfloat16")) == []


def test_no_batch_helps_where_weights_and_optimizer_alone_are_too_large() -> None:
    parts = dict(zip(PARTS, (400, 1, 400, 800, 5, 6), strict=True))

    assert resident_bytes(ledger(memory_by_part_bytes=parts)) == 1201
    plain = decides_resident({})
    assert decides_resident({"precision": "bf16-amp", "batch_size": 1, "activation_checkpointing": True}) == plain
    assert all(
        decides_resident(change) != plain for change in ({"precision": "bf16"}, {"optimizer": "sgd"}, {"lora_rank": 16})
    )


# What people read


def text(**changes: Any) -> str:
    """A prediction of a step as the terminal shows it."""
    workload = {"params": {"task": "causal-lm"}}
    plain = Prediction(workload, "gpt2", {"batch_size": 2}, ledger(2**30), T4, Largest(30))
    return terminal(prediction_report(replace(plain, **changes)))


def test_the_answer_stands_before_the_tables() -> None:
    lines = text().splitlines()

    assert lines[:4] == [
        "gpt2, causal-lm: batch_size=2",
        "Fits: 1.00 GiB of 14.18 GiB on T4.",
        "The largest batch that fits is 30.",
        "A step takes at least 500 ms, the time at the peak rates of the data sheet.",
    ]
    assert "│ activations │ 1.00 GiB │ 100.0% │" in lines
    assert "weights" not in text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"largest": Largest(MAX_BATCH, True)}, "A batch of 65536 fits; no larger one was tried."),
        ({"ledger": ledger(14 * 2**30)}, "It fits only just: "),
        ({"ledger": ledger(2**34), "largest": Largest(0)}, "Not even a batch of one sample fits."),
        ({"ledger": ledger(2**34)}, "None of the changes that were tried makes it fit."),
        (
            {
                "ledger": ledger(2**34),
                "remedies": (Remedy({"activation_checkpointing": True, "lora_rank": 8}, 1, True),),
            },
            "It fits with --activation-checkpointing --lora-rank 8.",
        ),
        ({"gpu": None, "largest": None}, "A step takes 1.00 GiB of GPU memory and launches about 100 operators."),
    ],
    ids=["capped", "close", "none", "no remedy", "remedy", "no GPU"],
)
def test_each_answer_has_its_sentence(changes: Mapping[str, Any], said: str) -> None:
    assert said in text(**changes)


def test_the_allocators_answer_stands_beside_the_dry_runs() -> None:
    lines = text(emulated=EmulatedStep("t4-16gb", 2**30 * 5 // 4, 2**30 * 2))

    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines.splitlines() if "│" in line]
    assert rows[-3:] == [
        ["allocated on t4-16gb", "1.25 GiB", "-20.0%"],
        ["reserved", "2.00 GiB", ""],
        ["reserved and in no tensor", "768.00 MiB", "37.5%"],
    ]


def test_an_emulated_card_without_an_answer_says_why() -> None:
    said = text(emulated=EmulatedStep("t4-16gb", why="out of memory: it does not fit: 23.00 GiB asked, 14.50 GiB free"))

    assert "On the emulated t4-16gb the step did not run: out of memory: it does not fit: 23.00 GiB asked" in said


def test_a_gpu_has_its_card_or_one_is_to_be_named() -> None:
    assert [card_of("H200", ""), card_of("A10", "l4-24gb"), card_of(None, "")] == ["h200-141gb", "l4-24gb", ""]
    assert set(CARDS) <= {gpu.name for gpu in GPUS.values()}
    assert set(CARDS.values()) == set(PROFILES)
    with pytest.raises(UserError, match="no card that stands for A10; name one: h100-sxm-80gb"):
        card_of("A10", "")


def test_without_a_gpu_nothing_is_held_against_one() -> None:
    found = Prediction({}, "gpt2", {}, ledger(roofline_s=None)).to_json()

    assert set(found) == KEYS
    assert [found[key] for key in ("gpu", "fits", "max_batch_size", "roofline_s", "remedies")] == [None] * 4 + [[]]


# Models


def test_the_shapes_that_come_with_perfgate_are_those_of_real_models() -> None:
    assert list(read_shapes()) == [
        "gpt2",
        "bert-large-uncased",
        "Llama-3.2-1B",
        "t5-base",
        "Qwen3-0.6B",
        "vit-base",
        "whisper-small",
        "Llama-3.1-8B",
        "stable-diffusion-1.5",
        "dit-xl-2-256",
    ]


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("GPT2LMHeadModel", "causal-lm"),
        ("LlamaForCausalLM", "causal-lm"),
        ("T5ForConditionalGeneration", "seq2seq-lm"),
        ("BertForMaskedLM", "masked-lm"),
        ("BertForSequenceClassification", "sequence-classification"),
        ("ViTForImageClassification", "image-classification"),
    ],
)
def test_a_folder_tells_by_its_class_what_the_model_is_for(architecture: str, task: str, tmp_path: Path) -> None:
    model = find_shape(str(gpt2(tmp_path / "named", architectures=[architecture])))

    assert (model.name, model.source) == ("named", {"folder": str(tmp_path / "named")})
    assert next(iter(model.classes.items())) == (task, architecture)
    assert len(model.classes) == 6


def test_a_folder_that_does_not_tell_is_asked_about_with_the_task(tmp_path: Path) -> None:
    folder = str(gpt2(tmp_path / "bare", architectures=["GPT2Model"]))

    with pytest.raises(UserError, match=r"config\.json does not say what the model is for; name it with --task"):
        find_shape(folder)
    assert find_shape(folder, "causal-lm").classes["causal-lm"] == "AutoModelForCausalLM"


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_configuration_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(UserError, match="is not a JSON object"):
        find_shape(str(tmp_path))


def test_the_options_come_from_the_settings_that_can_be_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for option in OPTIONS:
        assert f"--{option.replace('_', '-')} " in told
        assert " ".join(described(option).split()).replace("-", "") in told.replace("- ", "").replace("-", "")
    assert "fp8" not in told, "a value without a dry run"
    assert "adamw_cpu_offload" not in told
    precisions = "forward and generate and images: bf16, fp16; denoiser: bf16, bf16-amp; default: fp32"
    assert f"train: tf32, bf16, bf16-amp, fp16-amp; {precisions}" in told


@pytest.mark.parametrize(
    ("typed", "value"),
    [("", True), ("every_2_layers", "every_2_layers"), ("False", False)],
)
def test_a_switch_may_be_given_a_value(typed: str, value: object) -> None:
    words = ["predict", "--model", "gpt2", "--batch-size", "2", "--activation-checkpointing", *typed.split()]
    assert build_parser("predict").parse_args(words).activation_checkpointing == value
