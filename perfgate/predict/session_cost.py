"""Estimates the seconds that a case will take on a GPU, from its workload, a data sheet and the plan of launches.

It is an estimate and no measurement. Rates are shares of the data sheet's; the time of Python and the libraries is a
rough guess. A stored step time replaces the estimate of a step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.shared.workload import Workload

FLOPS_SHARE, BANDWIDTH_SHARE = 0.4, 0.7  # the shares of the data sheet's rates that programs reach
HOST_TRAINING_S, HOST_FORWARD_S = 2.5e-3, 0.6e-3  # seconds of Python: by layer and micro-batch, by layer and token
COMPILED, GRAPHS = 0.5, 0.1  # the shares of these that remain with compilation, and with CUDA graphs
START_S, SETUP_S, PROFILER_S, DRY_S = 1.0, 1.0, 1.5, 5.0  # fork and context; model and loop; CUPTI; the dry run
COMPILE_S, WARM_COMPILE_S = 30.0, 8.0  # compilation in the first launch, and with warm caches
READ_BYTES_PER_S, HOST_LOAD_S = 2e9, 5e-3  # reading a model's files to their device, and Python's time for a layer
ENERGY_S, LOAD_S = 2.0, 0.2  # bursts for measuring energy, taken once and with a pause; and for the clock under load
BURST_S, BURSTS, WARMUP_STEPS, UNTIMED_STEPS = 0.1, 8, 3, 3
TIMED, MEMORY = 3, 2
BYTES = {"bf16": 2, "fp16": 2}
QUANTIZED_BYTES = 1


@dataclass(frozen=True)
class Shape:
    """The numbers of a model on which its time depends.

    Attributes:
        layers: the number of layers in encoder and decoder together.
        weights: the number of weights.
        embedded: the number of weights in the embedding, which are used in one product for each token.
    """

    layers: int
    weights: int
    embedded: int


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape in a transformers configuration; ``None`` if it lacks the usual numbers."""
    width = first(config, "hidden_size", "n_embd", "d_model")
    decoders = first(config, "decoder_layers", "num_decoder_layers")
    layers = first(config, "num_hidden_layers", "n_layer", "num_layers", "encoder_layers")
    if not width or not layers:
        return None
    both = config.get("model_type") in ("t5", "whisper")
    layers = layers + (decoders or layers) if both else layers
    inner = first(config, "intermediate_size", "d_ff", "encoder_ffn_dim") or 4 * width
    products = 3 if config.get("model_type") in ("llama", "qwen3", "mistral") else 2
    heads, groups = first(config, "num_attention_heads") or 1, first(config, "num_key_value_heads")
    attention = 2 * width * width * (1 + (groups / heads if groups else 1))
    embedded = (first(config, "vocab_size") or 0) * width
    return Shape(layers, int(layers * (attention + products * inner * width) + embedded), embedded)


def first(config: Mapping[str, Any], *names: str) -> int | None:
    """The first of these numbers that a configuration has."""
    return next((int(config[name]) for name in names if config.get(name)), None)


def step_s(workload: Workload, gpu: GpuSpec) -> float | None:
    """The seconds of a step: the longer of the device's and Python's time; ``None`` if the shape is not known."""
    params = workload.params
    model = params.get("model")
    shape = shape_of(model.get("config", {})) if isinstance(model, Mapping) else None
    if shape is None:
        return None
    precision = str(params.get("precision", "fp32"))
    dtype = "bfloat16" if precision != "fp32" and "bfloat16" in gpu.flops_per_s else "float32"
    flops_per_s = FLOPS_SHARE * gpu.flops_per_s[dtype]
    bytes_per_s = BANDWIDTH_SHARE * gpu.bandwidth_bytes_per_s
    left = host_share(params)
    if workload.id == "loading":
        # Reading the files; the first call is short in comparison.
        return shape.weights * BYTES.get(str(params.get("stored")), 4) / READ_BYTES_PER_S + shape.layers * HOST_LOAD_S
    size = QUANTIZED_BYTES if params.get("quantization", "off") != "off" else BYTES.get(precision, 4)
    batch = int(params.get("batch_size", 8))
    if "new_tokens" in params or "prompt_length" in params:
        new = int(params.get("new_tokens", 16))
        prefill = 2 * shape.weights * batch * int(params.get("prompt_length", 32)) / flops_per_s
        token = max(shape.weights * size / bytes_per_s, shape.layers * HOST_FORWARD_S * left)
        rounds = math.ceil(int(params.get("requests", batch)) / batch)
        return rounds * (prefill + new * token)
    tokens = batch * int(params.get("sequence_length", 64 if "optimizer" in params else 200))
    pieces = int(params.get("gradient_accumulation", 1))
    if not is_training(workload):
        return max(2 * shape.weights * tokens / flops_per_s, shape.layers * HOST_FORWARD_S * left)
    again = 4 / 3 if params.get("activation_checkpointing") else 1.0
    device = 6 * again * shape.weights * tokens * pieces / flops_per_s
    # An optimizer reads and writes weights, gradients and two numbers of state.
    update = 0.0 if params.get("lora_rank") else shape.weights * 28 / bytes_per_s
    return max(device + update, shape.layers * HOST_TRAINING_S * again * pieces * left)


def is_training(workload: Workload) -> bool:
    """Whether a step has a backward pass."""
    name = f"{workload.id} {workload.program}".lower()
    return "train" in name or "accelerated" in name


def host_share(params: Mapping[str, Any]) -> float:
    """The share of Python's time that the settings leave."""
    mode = params.get("compile_decode", "off"), params.get("compile", "off")
    if "reduce-overhead" in mode:
        return GRAPHS
    return COMPILED if compiles(params) else 1.0


def compiles(params: Mapping[str, Any]) -> bool:
    """Whether any part of the step is compiled."""
    return any(params.get(name, "off") not in ("off", False) for name in ("compile", "compile_decode"))


def case_s(workload: Workload, step: float, launches: int = TIMED) -> float:
    """The seconds of a case on a GPU: the dry run, a counters launch, two memory launches and the timed launches.

    Args:
        workload: the case's workload.
        step: the seconds of its step.
        launches: the number of timed launches.
    """
    # The dry run runs beside counters and memory. The profiler starts in every launch but those of the memory pass.
    started = launches * (START_S + SETUP_S) + (1 + launches) * PROFILER_S
    started += max(DRY_S, (1 + MEMORY) * (START_S + SETUP_S))
    compiled = COMPILE_S + (MEMORY + launches) * WARM_COMPILE_S if compiles(workload.params) else 0.0
    untimed = (1 + MEMORY) * UNTIMED_STEPS + UNTIMED_STEPS
    burst = math.ceil(BURST_S / step)
    bursts = BURSTS if burst > 1 else 5
    timed = WARMUP_STEPS + (1 + bursts) * (burst + 1) + math.ceil(LOAD_S / step) + 1 + UNTIMED_STEPS
    return started + compiled + ENERGY_S + (untimed + launches * timed) * step


def duet_s(step: float) -> float:
    """The seconds of a duet of two such steps, without set-up: warm-up, and bursts with one extra step each."""
    burst = math.ceil(BURST_S / step)
    turns = min(20, max(6, math.floor(2 / (burst * step))))
    return 2 * step * (WARMUP_STEPS + turns * (burst + 1))
