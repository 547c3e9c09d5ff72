"""Workloads that make images: what they take, what they refuse, and the sentence where diffusers is missing."""

import pytest

from fixtures.models import image_models
from perfgate.shared.errors import UserError
from perfgate.workloads import requirements
from perfgate.workloads.tasks import denoiser_training, image_generation

SD, DIT = (image_models()[name] for name in ("stable-diffusion-quick", "diffusion-transformer-quick"))


def test_a_pipeline_without_a_unet_takes_no_settings_of_its_attention() -> None:
    with pytest.raises(UserError, match="attention_slicing is a setting of a UNet's pipeline"):
        image_generation(DIT, attention_slicing=True)
    with pytest.raises(UserError, match="takes the place of the attention"):
        image_generation(SD, attention_slicing=True, attention="eager")


def test_a_transformer_takes_no_adapters_and_names_no_blocks_to_compile() -> None:
    with pytest.raises(UserError, match="lora='on' needs a denoiser that takes adapters"):
        image_generation(DIT, lora="on")
    with pytest.raises(UserError, match="lora_rank=4 needs a denoiser that takes adapters"):
        denoiser_training(DIT, lora_rank=4)
    with pytest.raises(UserError, match="needs blocks that diffusers names"):
        image_generation(DIT, compile="regional")


def test_what_changes_the_denoiser_s_calls_does_not_go_with_the_compiler() -> None:
    with pytest.raises(UserError, match="compile and offload both change how the denoiser is called"):
        image_generation(SD, compile="whole", offload="model")


def test_where_diffusers_is_not_installed_one_sentence_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setattr(requirements, "is_here", lambda need: need.package != "diffusers")
    (reason,) = requirements.missing(image_generation(SD), "cpu")
    assert "needs the package diffusers, which is not installed" in reason
    assert "'perfgate[images]'" in reason
