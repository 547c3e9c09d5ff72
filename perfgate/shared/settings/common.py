"""Settings that several kinds of workload have."""

from perfgate.shared.settings.declaration import Need, Settings, choice, size

PRECISIONS = ("fp32", "bf16", "fp16")
COMPILE_MODES = ("off", "default", "reduce-overhead", "max-autotune")
GRAPHED = ("reduce-overhead", "max-autotune")  # the compile modes that capture CUDA graphs
FLASH_ATTENTION_3 = "'git+https://github.com/Dao-AILab/flash-attention#subdirectory=hopper'"


def flash_in_full_precision(settings: Settings) -> str:
    """FlashAttention has kernels for half precision alone (https://github.com/Dao-AILab/flash-attention)."""
    precision = settings.get("precision", "fp32")
    if "flash" in str(settings.get("attention")) and precision in ("fp32", "tf32"):
        return f"attention={settings['attention']!r} has no kernels for {precision}; add precision='bf16'"
    return ""


def beyond_the_positions(settings: Settings) -> str:
    """A model with learned positions has a table of them, which cannot be read beyond its end."""
    # The last new token is never an input.
    taken = settings.get("prompt_length", 0) + settings.get("new_tokens", 1) - 1
    limit = settings.get("config", {}).get("n_positions")
    if limit and taken > limit:
        return f"prompt_length and new_tokens take {taken} positions, and the model has {limit}; shorten the prompt"
    return ""


PROMPT_LENGTH = size(
    "prompt_length",
    128,
    "tokens of the longest prompt; the others of a batch are shorter and padded on the left",
    conflicts=(beyond_the_positions,),
    option="seq_len",
)
PRECISION = choice("precision", PRECISIONS, "number type of weights and arithmetic", option="precision")
ATTENTION = choice(
    "attention",
    (
        "default", "eager", "sdpa", "sdpa-math", "sdpa-flash", "sdpa-efficient", "flex_attention", "flash_attention_2",
        "flash_attention_3", "flash_attention_4",
    ),
    "implementation of attention, as transformers names it; `sdpa-flash` allows that kernel of `sdpa` alone",
    needs=(
        Need(("sdpa-efficient",), gpu=True),
        # It has no backward pass on a CPU.
        Need(("flex_attention",), gpu=True, kinds=("training",)),
        Need(("flash_attention_2",), package="flash_attn", pip="flash-attn", gpu=True),
        Need(("flash_attention_3",), package="flash_attn_interface", pip=FLASH_ATTENTION_3, gpu=True),
        Need(("flash_attention_4",), package="flash_attn.cute", pip="flash-attn-4", gpu=True),
    ),
    conflicts=(flash_in_full_precision,),
    left_open=True,
    option="attention",
    unpredicted=("default", "flex_attention", "flash_attention_2", "flash_attention_3", "flash_attention_4"),
)  # fmt: skip
COMPILE = choice(
    "compile",
    COMPILE_MODES,
    "mode of `torch.compile` for every pass",
    needs=(Need(compiler=True, dry=False),),
)
TORCHAO = ("torchao-int8", "torchao-int8-dynamic", "torchao-float8")
TORCHAO_GPU = ("torchao-float8-dynamic", "torchao-int4", "torchao-mxfp4", "torchao-nvfp4")
QUANTIZATION = choice(
    "quantization",
    (
        "off", "llm-int8", "nf4", "torchao-int8", "torchao-int8-dynamic", "torchao-float8", "torchao-float8-dynamic",
        "torchao-int4", "torchao-mxfp4", "torchao-nvfp4",
    ),
    "number type of the linear layers' weights, and with `-dynamic` or 4 bits in floating point of activations too",
    needs=(
        Need(("llm-int8", "nf4"), package="bitsandbytes", extra="bitsandbytes", dry=False),
        Need(TORCHAO, package="torchao", extra="torchao", dry=False),
        # The later values also need a GPU with a minimum compute capability, which only the actor can check.
        Need(TORCHAO_GPU, package="torchao", extra="torchao", gpu=True, dry=False),
    ),
)  # fmt: skip
LORA_RANK = choice(
    "lora_rank",
    (0, 4, 8, 16, 32, 64, 128),
    "rank of the adapters that are trained in place of the weights; 0 trains all weights",
    needs=(Need(package="peft", extra="peft"),),
    option="lora_rank",
)
