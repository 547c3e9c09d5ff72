"""Predicting what making images takes: a pipeline in a folder without weights, by the command and by its settings."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fixtures.models import image_models
from perfgate.cli.main import main
from perfgate.measure.pool import Pool
from perfgate.predict.dry_runs import DryRuns
from perfgate.predict.gpu_catalog import find_gpu
from perfgate.predict.memory_fit import StepCost
from perfgate.predict.options import mode_of
from perfgate.predict.predict import DRY_RUN
from perfgate.predict.question import Question
from perfgate.predict.suggestions import remedies
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json
from perfgate.workloads.models.shapes import PIPELINES, find_shape, read_shapes
from tests.support.runs import perfgate

MODELS = image_models()
PROGRAM = "perfgate.actor.programs.image_generation"
SD, DIT = MODELS["stable-diffusion-quick"], MODELS["diffusion-transformer-quick"]


def pipeline(folder: Path, made: str, config: Mapping[str, Any]) -> Path:
    """A folder as diffusers writes it, without weights."""
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": made}))
    for part, place in PIPELINES[made].items():
        (folder / place).mkdir()
        (folder / place / "config.json").write_text(json.dumps(config[part]))
    return folder


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DryRuns]:
    """Dry runs, from one server."""
    modules = [PROGRAM, DRY_RUN]
    with closing(Pool(modules, tmp_path_factory.mktemp("server"), 1)) as pool:
        yield DryRuns(pool, find_gpu("T4"))


def cost(dry: DryRuns, model: Any = SD, **settings: Json) -> StepCost:
    """What a step takes."""
    return dry.of(Question(model, None, "images", {"batch_size": 1, **settings}))


@pytest.mark.slice
def test_a_pipeline_without_weights_is_predicted_by_component(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "painter", "StableDiffusionPipeline", SD.source["config"])
    asked = "--task text-to-image --batch-size 2 --steps 20 --guidance --image-size 512 --gpu t4"

    done = perfgate("predict", "--model", folder, *asked.split(), "--json")

    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["workload"]["params"]["denoising_steps"] == 20
    components = found["components"]
    assert list(components) == ["text_encoder", "denoiser", "vae"]
    peaks = [component["peak_memory_bytes"] for component in components.values()]
    assert max(peaks) <= found["peak_memory_bytes"]
    # A denoising step takes as much as each other one, and all of them nearly all of the work.
    assert sum(component["flops"] for component in components.values()) == pytest.approx(found["flops"], rel=0.001)
    assert components["denoiser"]["flops"] > 0.9 * found["flops"]
    seconds = [component["roofline_s"] for component in components.values()]
    assert 0 < sum(seconds) <= found["roofline_s"]
    assert found["fits"] is True
    assert found["max_batch_size"] > 2


@pytest.mark.slice
def test_denoising_steps_add_work_and_no_memory_and_guidance_doubles_their_batch(dry: DryRuns) -> None:
    few, many = (cost(dry, denoising_steps=count) for count in (2, 9))
    guided = cost(dry, denoising_steps=2, guidance=True)
    denoiser = [found.components["denoiser"]["flops"] or 0 for found in (few, many, guided)]
    assert denoiser[1] == denoiser[0] / 2 * 9
    assert denoiser[2] == pytest.approx(denoiser[0] * 2)
    assert many.peak_memory_bytes == pytest.approx(few.peak_memory_bytes, rel=0.001)
    assert many.components["vae"]["flops"] == few.components["vae"]["flops"]


@pytest.mark.slice
def test_what_saves_memory_lowers_the_predicted_peak(dry: DryRuns) -> None:
    eager = cost(dry, batch_size=8, attention="eager")
    sliced = cost(dry, batch_size=8, attention_slicing=True)
    assert sliced.peak_memory_bytes < eager.peak_memory_bytes

    whole, tiled = (cost(dry, image_size=128, vae_tiling=on) for on in (False, True))
    assert tiled.components["vae"]["peak_memory_bytes"] < whole.components["vae"]["peak_memory_bytes"]

    several, one = (cost(dry, batch_size=4, vae_slicing=on) for on in (False, True))
    assert one.components["vae"]["peak_memory_bytes"] < several.components["vae"]["peak_memory_bytes"]


@pytest.mark.slice
def test_offloaded_weights_are_on_the_gpu_only_where_they_are_used(dry: DryRuns) -> None:
    kept, model, layers = (cost(dry, offload=kind) for kind in ("off", "model", "layers"))
    weights = [found.memory_by_part_bytes["weights"] for found in (kept, model, layers)]
    assert weights[0] > weights[1] > weights[2] > 0
    assert kept.peak_memory_bytes > model.peak_memory_bytes > layers.peak_memory_bytes
    assert kept.flops == model.flops == layers.flops


@pytest.mark.slice
def test_a_transformers_pipeline_has_two_components_and_a_size(dry: DryRuns) -> None:
    own, larger = cost(dry, DIT), cost(dry, DIT, image_size=64)
    assert list(own.components) == ["denoiser", "vae"]
    assert larger.flops > 3 * own.flops


def test_the_mode_follows_from_the_task_unless_it_is_named() -> None:
    gpt2, sd = read_shapes()["gpt2"], read_shapes()["stable-diffusion-1.5"]
    assert mode_of(None, gpt2, None) == "train"
    assert mode_of(None, sd, None) == mode_of(None, sd, "text-to-image") == "images"
    assert mode_of("denoiser", sd, None) == "denoiser"


def test_what_cannot_be_asked_is_said_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["predict", "--model", "stable-diffusion-1.5", "--batch-size", "1"]
    assert main([*model, "--seq-len", "8"]) == 2
    assert "--seq-len is not for --mode images" in capsys.readouterr().err
    assert main([*model, "--image-size", "300"]) == 2
    assert "image_size=300 must be a multiple of 8 pixels for this model" in capsys.readouterr().err
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UserError, match="is of class FluxPipeline; supported are StableDiffusionPipeline and DiT"):
        find_shape(str(folder))


def test_images_have_changes_of_their_own_from_the_least_intrusive_on() -> None:
    found = remedies("images", {"batch_size": 2, "attention": "eager"}, 1, ["float16"])
    alone = [{"attention": "sdpa"}, {"vae_slicing": True}, {"vae_tiling": True}, {"precision": "fp16"}]
    assert found[:4] == alone
    assert found[4] == {name: value for change in alone for name, value in change.items()}
    assert found[5:7] == [{"offload": "model"}, {"offload": "layers"}]
    assert (
        remedies("images", {"batch_size": 1, "precision": "bf16", "vae_tiling": True, "offload": "layers"}, 0, []) == []
    )
