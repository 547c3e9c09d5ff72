"""Workloads, tasks and models: what is hashed, what is refused, and what the suite's own shapes hold."""

import hashlib
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.models import SHAPES, models, models_for, sentences
from perfgate.shared.errors import UserError
from perfgate.shared.settings import FORWARD, GENERATION, TRAINING
from perfgate.shared.workload import Workload
from perfgate.workloads import tasks
from perfgate.workloads.models.model import AUTO_CLASSES, TIERS, Model, resolve
from perfgate.workloads.models.shapes import read_shapes
from perfgate.workloads.programs import PROGRAMS, workload_of
from perfgate.workloads.tasks import FORWARD_TASKS, GENERATION_TASKS, TRAINING_TASKS, image_generation
from tests import ROOT

PROGRAM = "package.module:Class"
GPT2 = Model("gpt2", {"config": {"model_type": "gpt2", "n_embd": 128}}, {"causal-lm": "GPT2LMHeadModel"})
BERT = Model(
    "bert",
    {"config": {"model_type": "bert"}},
    {"sequence-classification": "BertForSequenceClassification", "masked-lm": "BertForMaskedLM"},
)
T5 = Model("t5", {"config": {"model_type": "t5"}}, {"seq2seq-lm": "T5ForConditionalGeneration"})
BUILDERS: dict[str, Callable[..., Workload]] = {
    "training": tasks.training,
    "generation": tasks.generation,
    "forward": tasks.forward,
}

# The same examples each time: a gate has no use for a test that fails now and then.
examples = settings(deadline=None, derandomize=True, database=None, max_examples=50)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
params = st.dictionaries(st.text(max_size=3), values, max_size=4)


def backwards(value: Any) -> Any:
    """The same JSON with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(found) for key, found in reversed(value.items())}
    return [backwards(found) for found in value] if isinstance(value, list) else value


# -- identity ---------------------------------------------------------------------------------------------------------


def test_the_identity_is_the_hash_of_the_canonical_json() -> None:
    workload = Workload(PROGRAM, {"b": [1, 2.5, None], "a": {"é": True}})

    assert workload.canonical == ('{"params":{"a":{"\\u00e9":true},"b":[1,2.5,null]},"program":"package.module:Class"}')
    assert workload.sha256 == "440c7e86c0210c6290208fe7117bf11bdb14f3deb9a51e502679e73253817a43"


@examples
@given(params)
def test_the_order_of_keys_does_not_matter(given_params: dict[str, Any]) -> None:
    assert Workload(PROGRAM, given_params).sha256 == Workload(PROGRAM, backwards(given_params)).sha256


@examples
@given(params)
def test_a_workload_can_be_rebuilt_from_the_json_of_its_spec(given_params: dict[str, Any]) -> None:
    workload = Workload(PROGRAM, given_params)

    rebuilt = Workload(**json.loads(json.dumps(workload.spec)))

    assert rebuilt.sha256 == workload.sha256
    assert rebuilt == workload


@examples
@given(params, params)
def test_other_parameters_are_another_workload(one: dict[str, Any], two: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)

    assert (Workload(PROGRAM, one).sha256 == Workload(PROGRAM, two).sha256) == same


def test_another_program_is_another_workload() -> None:
    assert Workload(PROGRAM, {}).sha256 != Workload("package.module:Other", {}).sha256


def test_names_for_people_are_no_part_of_the_identity() -> None:
    plain, named = Workload(PROGRAM, {"a": 1}), Workload(PROGRAM, {"a": 1}, "gpt2", {"batch_size": 8}, "f" * 64)

    assert named.sha256 == plain.sha256
    assert named == plain


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), float("-inf"), {1, 2}, b"bytes", object(), Path(), {"deep": [float("nan")]}],
)
def test_parameters_that_are_no_json_are_refused(value: Any) -> None:
    with pytest.raises(UserError, match=f"the parameters of workload {PROGRAM} must be plain JSON values"):
        Workload(PROGRAM, {"a": value})


def test_parameters_that_hold_themselves_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(UserError, match="plain JSON values"):
        Workload(PROGRAM, {"a": circle})


@pytest.mark.parametrize("program", ["", "package.module", "package.module:", ":Class"])
def test_a_program_that_is_no_import_path_is_refused(program: str) -> None:
    with pytest.raises(UserError, match=re.escape(repr(program))):
        Workload(program, {})


# -- tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
def test_a_workload_without_settings_is_its_own_vanilla(name: str) -> None:
    vanilla = BUILDERS[name](GPT2)

    assert vanilla.vanilla == vanilla.sha256
    assert vanilla.setting == {}
    assert vanilla.model == "gpt2"


@pytest.mark.parametrize("name", BUILDERS)
def test_every_setting_is_held_against_the_same_vanilla(name: str) -> None:
    build = BUILDERS[name]

    changed = build(GPT2, batch_size=3)

    assert changed.vanilla == build(GPT2).sha256
    assert changed.sha256 != changed.vanilla
    assert changed.setting == {"batch_size": 3}
    assert changed.params["batch_size"] == 3


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("training", TRAINING.sizes),
        ("generation", GENERATION.sizes),
        ("forward", FORWARD.sizes),
    ],
)
def test_a_setting_at_its_default_is_vanilla_by_identity_and_still_named(name: str, defaults: dict[str, int]) -> None:
    workload = BUILDERS[name](GPT2, **defaults)

    assert workload.sha256 == workload.vanilla
    assert workload.setting == defaults


def test_seed_task_loop_and_model_change_vanilla_too() -> None:
    other = Model("gpt2", {"config": {"model_type": "gpt2", "n_embd": 256}}, GPT2.classes)
    found = [
        tasks.training(GPT2),
        tasks.training(GPT2, seed=1),
        tasks.training(GPT2, loop="accelerate"),
        tasks.training(other),
        tasks.training(BERT, task="masked-lm"),
        tasks.training(BERT),
    ]

    assert len({workload.vanilla for workload in found}) == len(found)
    assert all(workload.vanilla == workload.sha256 for workload in found)


def test_the_name_of_a_model_is_no_part_of_what_is_run() -> None:
    renamed = Model("another", GPT2.source, GPT2.classes)

    assert tasks.training(renamed).sha256 == tasks.training(GPT2).sha256


@pytest.mark.parametrize("name", BUILDERS)
def test_an_unknown_setting_is_refused_with_those_that_exist(name: str) -> None:
    told = r"unknown setting 'batchsize'; it may be batch_size, .*compile.*\(did you mean"
    with pytest.raises(UserError, match=told):
        BUILDERS[name](GPT2, batchsize=8)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("value", [0, -1, 1.5, 8.0, "8", None, True, [8], float("nan")])
def test_a_setting_that_is_no_positive_whole_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UserError, match="setting 'batch_size' must be a positive whole number") as error:
        BUILDERS[name](GPT2, batch_size=value)

    assert repr(value) in str(error.value)


def test_an_unknown_loop_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="unknown loop 'lightning'; choose trainer or seq2seq-trainer or accelerate"):
        tasks.training(GPT2, loop="lightning")


@pytest.mark.parametrize("name", BUILDERS)
def test_an_unknown_task_is_refused_with_those_of_the_model(name: str) -> None:
    with pytest.raises(
        UserError, match="model 'bert' has no class for translation; it has classes for sequence-classification"
    ):
        BUILDERS[name](BERT, task="translation")


def test_a_model_that_cannot_generate_is_refused() -> None:
    with pytest.raises(UserError, match="model 'bert' has no class for causal-lm or seq2seq-lm"):
        tasks.generation(BERT)
    with pytest.raises(UserError, match="model 'bert' has no class for masked-lm"):
        tasks.generation(BERT, task="masked-lm")


def test_the_first_task_of_a_model_that_applies_is_taken() -> None:
    assert tasks.training(BERT).params["task"] == "sequence-classification"
    assert tasks.training(BERT).params["model"]["class"] == "BertForSequenceClassification"
    assert tasks.training(BERT, task="masked-lm").params["model"]["class"] == "BertForMaskedLM"
    assert tasks.generation(T5).params["task"] == "seq2seq-lm"


def test_sentences_are_part_of_what_is_run() -> None:
    with_text = tasks.forward(BERT, sentences=["One.", "Two."])

    assert with_text.params["sentences"] == ["One.", "Two."]
    assert with_text.sha256 == with_text.vanilla != tasks.forward(BERT).sha256
    assert tasks.forward(BERT, sentences=[]).sha256 == tasks.forward(BERT).sha256


# -- models -----------------------------------------------------------------------------------------------------------


def saved(folder: Path, *names: str) -> Path:
    """A folder with these empty files."""
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_a_folder_as_save_pretrained_leaves_it_is_a_model(tmp_path: Path) -> None:
    folder = saved(tmp_path / "my-model", "config.json", "model.safetensors")

    model = resolve(str(folder))

    assert model.name == "my-model"
    assert model.classes == AUTO_CLASSES
    assert tasks.training(folder).params["model"] == {"class": "AutoModelForCausalLM", "folder": str(folder)}


def test_sharded_weights_are_weights(tmp_path: Path) -> None:
    names = ("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")

    assert resolve(saved(tmp_path / "sharded", *names)).name == "sharded"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "lacks config.json; save the model there with save_pretrained"),
        (("model.safetensors",), "lacks config.json"),
        (("config.json",), "has no .safetensors weights"),
        (("config.json", "pytorch_model.bin"), "has no .safetensors weights; other formats are not loaded"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_by_name(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "my-model", *names)

    with pytest.raises(UserError, match=re.escape(message)) as error:
        tasks.training(folder)

    assert str(folder) in str(error.value)


def test_a_folder_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UserError, match=f"model folder {path} does not exist"):
            resolve(path)


SHAPE = {"classes": {"causal-lm": "GPT2LMHeadModel"}, "config": {"model_type": "gpt2"}}


def test_a_shape_says_where_a_model_comes_from_and_what_it_can_do() -> None:
    model = Model.from_shape("tiny", {**SHAPE, "tier": "full"})

    assert model == Model("tiny", {"config": {"model_type": "gpt2"}}, {"causal-lm": "GPT2LMHeadModel"}, "full")
    assert Model.from_shape("tiny", SHAPE).tier == "quick"


def test_a_shape_with_unknown_keys_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        UserError, match=r"shapes\.json: 'tiny' has unknown keys colour, klasses; known are classes, config"
    ):
        Model.from_shape("tiny", {**SHAPE, "klasses": {}, "colour": "blue"}, "shapes.json")


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"config": {}},
        {"classes": {}, "config": {}},
        {"classes": {"causal-lm": "A"}},
        {"classes": {"causal-lm": "A"}, "config": {}, "folder": "b"},
    ],
)
def test_a_shape_needs_classes_and_one_source(shape: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="'tiny' needs 'classes' and exactly one of config, folder, package"):
        Model.from_shape("tiny", shape)


# -- the suite's own models -------------------------------------------------------------------------------------------


def test_every_shape_of_the_suite_can_be_read() -> None:
    assert list(models()) == [*json.loads(SHAPES.read_text(encoding="utf-8")), *read_shapes()]
    assert {model.tier for model in models().values()} <= set(TIERS)


IMAGES = [name for name, model in models().items() if "text-to-image" in model.classes]
TEXTS = [name for name in models() if name not in IMAGES]


@pytest.mark.parametrize("name", IMAGES)
def test_every_shape_of_images_names_a_pipeline_of_diffusers(name: str) -> None:
    found = find_spec("diffusers")
    assert found is not None
    assert found.origin is not None
    (pipeline,) = models()[name].classes.values()
    assert f'"{pipeline}"' in Path(found.origin).read_text(encoding="utf-8")
    assert image_generation(models()[name]).params["model"]["class"] == pipeline


@pytest.mark.parametrize("name", TEXTS)
def test_every_shape_of_the_suite_has_a_class_for_what_it_is_run_as(name: str) -> None:
    model = models()[name]
    accepted = {
        "training": TRAINING_TASKS,
        "generation": GENERATION_TASKS,
        "forward": FORWARD_TASKS,
    }

    fitting = [fixture for fixture in accepted if model in models_for([fixture])]

    assert fitting
    for fixture in fitting:
        workload = BUILDERS[fixture](model)
        assert workload.params["model"]["class"] in model.classes.values()


@pytest.mark.parametrize("name", TEXTS)
def test_every_class_that_a_shape_names_exists_in_transformers(name: str) -> None:
    model = models()[name]
    found = find_spec("transformers")
    assert found is not None
    assert found.origin is not None
    family = model.source.get("config", {}).get("model_type", "bert")
    text = (Path(found.origin).parent / "models" / family / f"modeling_{family}.py").read_text(encoding="utf-8")

    for class_name in model.classes.values():
        assert f"\nclass {class_name}(" in text


def test_quick_shapes_are_small() -> None:
    quick = [model for model in models().values() if model.tier in ("smoke", "quick") and "config" in model.source]

    assert quick
    for model in quick:
        config = model.source["config"]
        widths = [config[key] for key in ("n_embd", "hidden_size", "d_model") if key in config]
        layers = [size for key, size in config.items() if key == "n_layer" or key.endswith("_layers")]
        assert config["model_type"] == "vit" or config["vocab_size"] == 1024
        assert all(128 <= width <= 256 for width in widths)
        assert all(2 <= count <= 4 for count in layers)
        assert widths
        assert layers


def test_sentences_are_of_different_lengths() -> None:
    assert len({len(sentence) for sentence in sentences()}) > 5


# Stored baselines are keyed by these: an id that changed would make all of them stale. New ones are added below.
IDS = {
    "calibration",
    "denoiser_training",
    "forward",
    "generation",
    "image_generation",
    "loading",
    "operator",
    "reading",
    "serving",
    "tokenizing",
    "training.accelerate",
    "training.seq2seq-trainer",
    "training.trainer",
    "yardstick.cpu",
    "yardstick.cuda",
    "yardstick.emulated",
    "yardstick.fake",
    "yardstick.mps",
    "yardstick.rocm",
}


def test_the_ids_of_programs_stay_as_they_are() -> None:
    assert set(PROGRAMS) == IDS


@pytest.mark.parametrize("program", sorted(IDS))
def test_an_id_is_the_identity_wherever_its_program_lives(program: str) -> None:
    named = workload_of(program, {"batch_size": 1})
    spec = {"params": {"batch_size": 1}, "program": program}
    assert named.sha256 == hashlib.sha256(json.dumps(spec, separators=(",", ":")).encode()).hexdigest()
    assert Workload("elsewhere.module:Class", {"batch_size": 1}, id=program).sha256 == named.sha256


def test_the_actor_is_told_where_a_program_with_an_id_lives() -> None:
    workload = Workload("bench:Training", {"batch_size": 1}, id="tagger.training")
    assert workload.spec["program"] == "tagger.training"
    assert workload.order == {"program": "bench:Training", "params": {"batch_size": 1}}


def stored(case: str) -> str:
    """The identity under which a case is stored in the committed portable baselines."""
    file = case.partition("::")[0].replace(".py", ".json")
    path = min((ROOT / "baselines/portable").glob(f"*/{file}"))
    rows = json.loads(path.read_text())["rows"]
    return next(str(row["workload"]) for row in rows if row["case"] == case and "workload" in row)


STORED: dict[str, Callable[[], Workload]] = {
    "training/test_batch_size.py::test_batch_size[gpt2-quick-8]": lambda: tasks.training(
        models()["gpt2-quick"], batch_size=8
    ),
    "training/test_batch_size.py::test_batch_size_accelerate[gpt2-quick-8]": lambda: tasks.training(
        models()["gpt2-quick"], loop="accelerate", batch_size=8
    ),
    "inference/test_batch_size.py::test_batch_size[gpt2-quick-8]": lambda: tasks.generation(
        models()["gpt2-quick"], batch_size=8
    ),
}


@pytest.mark.parametrize("case", STORED)
def test_a_case_builds_the_workload_under_which_it_was_stored(case: str) -> None:
    assert STORED[case]().sha256 == stored(case)
