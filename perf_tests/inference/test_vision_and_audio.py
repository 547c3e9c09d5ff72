"""Vision and audio: ViT classifies images, and Whisper transcribes speech. Both turn their input into a sequence of
fixed length (patches of an image, or frames of 30 s of sound) and process that as transformers.

From https://huggingface.co/docs/transformers/model_doc/vit and
https://huggingface.co/docs/transformers/model_doc/whisper. Activations and arithmetic grow in proportion to the images
in a batch, while weights are shared; on a GPU time grows less until the GPU is busy. Whisper's encoder runs once,
however long the text is.
"""

import pytest

from fixtures.models import models

LISTENERS = [model for model in models().values() if "whisper" in model.name]
VIEWERS = [model for model in models().values() if "image-classification" in model.classes]
VIT, WHISPER = models()["vit-quick"], models()["whisper-quick"]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("batch_size", [1, pytest.param(32, marks=pytest.mark.perf(tier="full"))])
@pytest.mark.parametrize("model", VIEWERS, ids=lambda model: model.name)
def test_images(perf, forward, model, batch_size):
    perf(forward(model, batch_size=batch_size))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("new_tokens", [4, pytest.param(64, marks=pytest.mark.perf(tier="full"))])
@pytest.mark.parametrize("model", LISTENERS, ids=lambda model: model.name)
def test_sound(perf, generation, model, new_tokens):
    perf(generation(model, new_tokens=new_tokens))


@pytest.mark.perf(tier="quick")
def test_images_share_the_weights(effect, forward):
    effect(
        forward(VIT, batch_size=1),
        forward(VIT, batch_size=8),
        flops="> 7.9x and < 8.1x",
        operator_calls="< 1.01x",
        weights_bytes="< 1.001x",
        predicted_peak_bytes="< 4x",
    )


@pytest.mark.perf(tier="quick")
def test_the_encoder_runs_once(effect, generation):
    effect(
        generation(WHISPER, new_tokens=4),
        generation(WHISPER, new_tokens=16),
        flops="> 1.02x and < 1.5x",
        operator_calls="> 2x and < 4x",
    )
