"""The settings of training."""

from perfgate.shared.settings.common import ATTENTION, COMPILE, COMPILE_MODES, LORA_RANK, PRECISION, QUANTIZATION
from perfgate.shared.settings.declaration import Kind, Need, Settings, choice, chosen_of, count, size
from perfgate.shared.settings.loading import SETTINGS as LOADING
from perfgate.shared.settings.padding import MASK, PADDED, padding_twice

LOW_RANK = ("galore_adamw", "apollo_adamw")
# Their steps run in kernels or decompositions of their own, which fake tensors cannot run.
NOT_DRY_OPTIMIZERS = (
    "adamw_torch_8bit", "adamw_bnb_8bit", "lion_8bit", "paged_adamw_8bit", *LOW_RANK, "lomo", "adamw_cpu_offload",
)  # fmt: skip


def cache_emptied_by_hand(settings: Settings) -> str:
    """The Trainer empties the allocator's cache (``torch_empty_cache_steps``); a plain loop has no code for that."""
    if settings.get("empty_cache_steps") and settings.get("loop") == "accelerate":
        return "empty_cache_steps is an argument of the Trainer; leave loop='accelerate' out"
    return ""


def recipe_of_the_trainer(settings: Settings) -> str:
    """The recipe converts layers in ``Accelerator.prepare``, and ``TrainingArguments`` has no name for it."""
    if settings.get("precision") == "fp8-amp" and settings.get("loop") == "trainer":
        return "precision='fp8-amp' is a recipe of accelerate that the Trainer cannot name; add loop='accelerate'"
    return ""


def training_quantized_weights(settings: Settings) -> str:
    """Weights of 4 bits have no gradients (https://huggingface.co/docs/peft/developer_guides/quantization)."""
    if settings.get("quantization", "off") != "off" and not settings.get("lora_rank"):
        return f"quantization={settings['quantization']!r} leaves no weights to train; add lora_rank=8"
    return ""


def narrow_weights_beside_quantized(settings: Settings) -> str:
    """peft keeps all weights that are not quantized in 32 bits (``prepare_model_for_kbit_training``)."""
    if settings.get("quantization", "off") != "off" and settings.get("precision") == "bf16":
        return (
            f"precision='bf16' cannot be in force with quantization={settings['quantization']!r}, "
            "as peft keeps the other weights in 32 bits; use precision='bf16-amp'"
        )
    return ""


def rank_of_another_optimizer(settings: Settings) -> str:
    """Only GaLore and APOLLO project gradients."""
    optimizer = settings.get("optimizer", "adamw_torch")
    if settings.get("optimizer_rank") and optimizer not in LOW_RANK:
        return f"optimizer={optimizer!r} has no rank; leave optimizer_rank out, or choose {' or '.join(LOW_RANK)}"
    return ""


def accumulation_without_gradients(settings: Settings) -> str:
    """LOMO updates each weight as soon as its gradient is there, and keeps none (https://arxiv.org/abs/2306.09782)."""
    pieces = settings.get("gradient_accumulation", 1)
    if settings.get("optimizer") == "lomo" and pieces != 1:
        return f"optimizer='lomo' keeps no gradients to accumulate; leave gradient_accumulation={pieces} out"
    return ""


def cache_of_recomputed_layers(settings: Settings) -> str:
    """Recomputed layers would add to a cache twice, so transformers turns it off."""
    if settings.get("use_cache") is True and settings.get("activation_checkpointing"):
        return "activation_checkpointing turns the cache off; leave use_cache=True out"
    return ""


def two_losses(settings: Settings) -> str:
    """Each of the two replaces the model's loss."""
    if settings.get("liger") and settings.get("chunked_loss"):
        return "liger=True has a chunked loss of its own; leave chunked_loss=True out"
    return ""


def ranks_and_strategy(settings: Settings) -> str:
    """Several processes need a strategy to share a step, and one process needs none."""
    strategy, ranks = settings.get("strategy", "none"), settings.get("ranks", 1)
    if strategy != "none" and ranks == 1:
        return f"strategy={strategy!r} shares a step among several processes; add ranks=2"
    if strategy == "none" and ranks != 1:
        return f"ranks={ranks} needs to be told how they share a step; add strategy='ddp' or 'fsdp'"
    if strategy in ("tp", "cp") and settings.get("loop") == "accelerate":
        return f"strategy={strategy!r} splits what the Trainer trains; leave loop='accelerate' out"
    return ""


def samples_in_parts(settings: Settings) -> str:
    """Ranks in a ring pass keys and values on in causal SDPA alone. Each rank holds an early and a late part of every
    sample, so that all do the same work (https://docs.pytorch.org/tutorials/unstable/context_parallel.html)."""
    if settings.get("strategy") != "cp":
        return ""
    attention, task = settings.get("attention", "default"), settings.get("task") or "causal-lm"
    length, ranks = settings.get("sequence_length"), settings.get("ranks")
    if attention != "default" and not str(attention).startswith("sdpa"):
        return f"strategy='cp' passes keys and values on in SDPA alone; leave out attention={attention!r}"
    named = f"task={task!r}" if task != "causal-lm" else chosen_of(settings, ("lengths", "packing", "padded"))
    if named:
        return f"strategy='cp' has no mask but the causal one; leave out {named}"
    if isinstance(length, int) and isinstance(ranks, int) and length % (2 * ranks):
        return f"strategy='cp' gives a rank two parts; make sequence_length={length} a multiple of {2 * ranks}"
    return ""


TRAINING = Kind(
    "training",
    (
        size("batch_size", 8, "samples of a micro-batch", option="batch_size"),
        size("gradient_accumulation", 1, "micro-batches of a step", option="gradient_accumulation"),
        size("sequence_length", 64, "tokens of a sample, or of the longest", option="seq_len"),
        PRECISION.of(
            "fp32", "tf32", "bf16", "bf16-amp", "fp16-amp", "fp8-amp",
            doc="number type: `bf16` holds weights in it, the others keep them in 32 bits; `-amp` computes in fewer",
            needs=(
                Need(("tf32", "fp16-amp"), gpu=True),
                # Some CPUs take seconds for a product of a small model in fp8 (docs/verified/techniques.md).
                Need(("fp8-amp",), package="torchao", extra="torchao", gpu=True),
            ),
            conflicts=(recipe_of_the_trainer,),
            unpredicted=("fp8-amp",),
        ),
        choice(
            "optimizer",
            (
                "adamw_torch", "adamw_torch_fused", "adafactor", "adagrad", "rmsprop", "sgd", "sgd_momentum", "muon",
                "adamw_torch_8bit", "adamw_bnb_8bit", "lion_8bit", "paged_adamw_8bit", "galore_adamw", "apollo_adamw",
                "lomo", "adamw_cpu_offload",
            ),
            "optimizer, as `TrainingArguments.optim` names it, or `sgd_momentum`, `muon`, `adamw_cpu_offload`",
            needs=(
                Need(("adamw_torch_8bit",), package="torchao", extra="torchao"),
                Need(("adamw_bnb_8bit", "lion_8bit"), package="bitsandbytes", extra="bitsandbytes"),
                Need(("paged_adamw_8bit",), package="bitsandbytes", extra="bitsandbytes", gpu=True),
                Need(("galore_adamw",), package="galore_torch", extra="optimizers"),
                Need(("apollo_adamw",), package="apollo_torch", extra="optimizers"),
                Need(("lomo",), package="lomo_optim", extra="optimizers"),
                Need(("adamw_cpu_offload",), package="torchao", extra="torchao", gpu=True),
            ),
            conflicts=(accumulation_without_gradients,),
            option="optimizer",
            unpredicted=NOT_DRY_OPTIMIZERS,
        ),
        count(
            "optimizer_rank",
            "rank to which GaLore and APOLLO project gradients; 0 leaves it to them",
            conflicts=(rank_of_another_optimizer,),
            left_open=True,
        ),
        choice(
            "activation_checkpointing",
            (False, True, "every_2_layers", "every_4_layers", "offload"),
            "layers that compute activations again in the backward pass; `offload` keeps their inputs on the host",
            needs=(
                Need(("every_2_layers", "every_4_layers", "offload"), package="transformers", since="5.23"),
                # Its copies lie in pinned memory, which is useful only with a GPU.
                Need(("offload",), gpu=True),
            ),
            option="activation_checkpointing",
        ),
        LORA_RANK,
        QUANTIZATION.of(
            "off",
            "nf4",
            doc="number type of the frozen weights below adapters",
            conflicts=(training_quantized_weights, narrow_weights_beside_quantized),
        ),
        choice(
            "experts",
            ("default", "eager", "batched_mm", "grouped_mm"),
            "implementation of layers of experts, as `experts_implementation` names it",
            left_open=True,
        ),
        choice(
            "liger",
            (False, True),
            "whether Liger's fused Triton kernels replace norms, rotary positions, activations and the loss",
            needs=(Need(package="liger_kernel", extra="liger", gpu=True),),
        ),
        choice(
            "chunked_loss",
            (False, True),
            "whether the head and the loss work on a few tokens at a time, so that the logits of all never exist",
            conflicts=(two_losses,),
        ),
        choice(
            "activation_offload",
            (False, True),
            "whether activations wait for the backward pass in the host's memory",
            needs=(Need(gpu=True),),
        ),
        choice(
            "allocator",
            ("default", "expandable_segments"),
            "how CUDA's caching allocator grows",
            needs=(Need(gpu=True),),
        ),
        count(
            "empty_cache_steps",
            "steps after which the allocator gives back its unused memory; 0 for never",
            conflicts=(cache_emptied_by_hand,),
        ),
        ATTENTION,
        COMPILE.of(*COMPILE_MODES, "regional", doc=f"{COMPILE.doc}; `regional` compiles each layer by itself"),
        choice(
            "strategy",
            ("none", "ddp", "fsdp", "fsdp-offload", "tp", "cp"),
            "how processes share a step; each has batches of its own unless they split layers (`tp`) or samples (`cp`)",
            # Shards in pinned memory, accelerate's meshes, and ring attention need an accelerator.
            needs=(Need(("fsdp-offload", "tp", "cp"), gpu=True),),
            conflicts=(ranks_and_strategy, samples_in_parts),
        ),
        choice("ranks", (1, 2, 4, 8, 16), "number of processes that share a step"),
        choice(
            "use_cache",
            ("default", False, True),
            "whether a forward pass keeps keys and values, of which training has no use; `default` leaves it to the "
            "Trainer, or to the model's configuration",
            conflicts=(cache_of_recomputed_layers,),
            left_open=True,
        ),
        PADDED.but(conflicts=(*PADDED.conflicts, padding_twice)),
        MASK,
        *LOADING,
    ),
)  # fmt: skip
