"""Loading: files become a model that answers for the first time. Whoever starts a service or a notebook waits for it.

From https://huggingface.co/docs/transformers/models and https://huggingface.co/docs/transformers/big_models. A model
is made without weights, and each weight moves from its file to its place; so the peak is one model and not two, unless
weights are converted to another number type on the way. The host converts, so a GPU never holds them twice. Shards
keep the peak low if a file is read as a whole; each is one more file to open. `device_map` loads each weight directly
to its device. Quantizing while loading takes time, and saves memory afterwards. The first call includes work that is
done only once, such as compiling with `torch.compile`.

The files lie in the system's page cache, as they were written just before, so the disk takes no part. The small models
here have few bytes: most of the time is Python's, and `python_calls` counts it exactly. Times hold for a process that
has imported the libraries and loaded a model before; `first_step_s`, which is reported, tells of one that has not.
"""

import pytest

from fixtures.models import models, reshaped

GPT2, BERT, LLAMA = (models()[name] for name in ("gpt2-quick", "bert-quick", "llama-quick"))
ONE_LAYER = reshaped(LLAMA, num_hidden_layers=1)  # one layer, because inductor takes seconds for each
LARGER = models()["gpt2"]
QUICK = pytest.mark.perf(tier="quick")
STANDARD = pytest.mark.perf(tier="standard")
FULL = pytest.mark.perf(tier="full")
INT8 = "torchao-int8"


@pytest.mark.parametrize(
    "model", [GPT2, *(pytest.param(one, marks=QUICK) for one in (BERT, LLAMA))], ids=lambda model: model.name
)
def test_one_file(perf, loading, model):
    perf(loading(model))


@QUICK
def test_shards(perf, loading):
    perf(loading(LLAMA, files="sharded"))


@QUICK
@pytest.mark.parametrize(("stored", "precision"), [("fp32", "bf16"), ("bf16", "bf16"), ("bf16", "fp32")])
def test_precision(perf, loading, stored, precision):
    perf(loading(LLAMA, stored=stored, precision=precision))


@QUICK
def test_device_map(perf, loading):
    perf(loading(LLAMA, device_map="auto"))


@FULL
def test_low_memory(perf, loading):
    perf(loading(LLAMA, low_cpu_mem_usage="on"))


@QUICK
def test_quantized(perf, loading):
    perf(loading(LLAMA, quantization=INT8))


@FULL
@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_compilation(perf, loading, cache):
    perf(loading(ONE_LAYER, compile=cache))


@FULL
@pytest.mark.parametrize("files", ["one", "sharded"])
def test_larger(perf, loading, files):
    perf(loading(LARGER, files=files))


@STANDARD
def test_larger_in_half_precision_on_its_device(perf, loading):
    perf(loading(LARGER, stored="bf16", precision="bf16", device_map="auto"))


@QUICK
def test_weights_in_the_type_of_their_files_are_not_held_twice(effect, loading):
    effect(
        loading(LLAMA, stored="fp32", precision="bf16"),
        loading(LLAMA, stored="bf16", precision="bf16"),
        peak_memory_bytes={"cpu": "< 0.5x", "cuda": "> 0.99x and < 1.01x"},
    )


@QUICK
def test_quantized_weights_stay_small(effect, loading):
    effect(
        loading(LLAMA),
        loading(LLAMA, quantization=INT8),
        measured_weights_bytes="> 0.5x and < 0.6x",
        near={"logits": 0.05},
    )


@FULL
def test_low_memory_holds_the_model_once(effect, loading):
    """This holds before transformers 4.51; since then the setting is always on."""
    effect(
        loading(LLAMA, low_cpu_mem_usage="off"),
        loading(LLAMA, low_cpu_mem_usage="on"),
        peak_memory_bytes={"cpu": "< 0.8x", "cuda": "< 1.01x"},
    )


@FULL
def test_a_filled_cache_saves_the_compiler(effect, loading):
    effect(
        loading(ONE_LAYER, compile="cold"),
        loading(ONE_LAYER, compile="warm"),
        compile_cache_misses="< 0.5x",
    )
