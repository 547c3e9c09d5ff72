"""Settings of the denoiser only: compiled calls, adapters beside its attention, and attention kept between steps."""

import contextlib
from typing import Any

import torch

# Cases with images are skipped if it is not installed.
with contextlib.suppress(ImportError):
    from diffusers.hooks import HookRegistry, PyramidAttentionBroadcastConfig, apply_pyramid_attention_broadcast

ATTENTION_LAYERS = ["to_q", "to_k", "to_v", "to_out.0"]
LORA_RANK = 16
BROADCAST = "pyramid_attention_broadcast"  # the name of the setting's value, and of diffusers' hook
EVERY = 2  # attention is computed in every second step
TRAINED_TIMESTEPS = 1000


def add_adapters(denoiser: Any, lora: str) -> None:
    """Put adapters with random weights beside attention, and merge them into its weights if requested.

    Args:
        denoiser: the denoiser without adapters.
        lora: the value of the setting.
    """
    if lora == "off":
        return
    from peft import LoraConfig  # optional, and a fork server must not import it

    # By default one of the two matrices is zero, so that adapters would change nothing.
    denoiser.add_adapter(LoraConfig(r=LORA_RANK, target_modules=ATTENTION_LAYERS, init_lora_weights=False))
    if lora == "fused":
        denoiser.fuse_lora()


def lora_of(denoiser: Any) -> str:
    """The value of the setting ``lora`` in force."""
    fused = [bool(layer.merged) for layer in denoiser.modules() if hasattr(layer, "lora_A")]
    if not fused:
        return "off"
    return "fused" if all(fused) else "on"


def compile_denoiser(denoiser: Any, compiled: str) -> None:
    """Compile the denoiser as a whole, or each of its transformer blocks by itself.

    Args:
        denoiser: the denoiser.
        compiled: the value of the setting ``compile``.
    """
    if compiled == "whole":
        denoiser.forward = torch.compile(denoiser.forward)
    elif compiled == "regional":
        denoiser.compile_repeated_blocks(fullgraph=True)


def compile_of(denoiser: Any) -> str:
    """The value of the setting ``compile`` in force."""
    if hasattr(denoiser.forward, "_torchdynamo_orig_callable"):
        return "whole"
    blocks = any(getattr(module, "_compiled_call_impl", None) for module in denoiser.modules())
    return "regional" if blocks else "off"


class KeptAttention:
    """Reuses results of attention in the denoiser's next step (https://huggingface.co/papers/2408.12588).

    diffusers has this cache for any network with its attention. The cache needs the timestep, because the first and
    the last steps compute everything; these pipelines do not pass it, so calls of the denoiser are counted.
    """

    def __init__(self, denoiser: Any, steps: int) -> None:
        self.denoiser, self.steps, self.calls = denoiser, steps, 0
        denoiser.register_forward_pre_hook(self._called)
        apply_pyramid_attention_broadcast(
            denoiser,
            PyramidAttentionBroadcastConfig(
                spatial_attention_block_skip_range=EVERY,
                cross_attention_block_skip_range=EVERY,
                current_timestep_callback=self.timestep,
            ),
        )

    def timestep(self) -> int:
        """The approximate timestep of the scheduler, which falls from the first call to the last."""
        return TRAINED_TIMESTEPS - TRAINED_TIMESTEPS * (self.calls - 1) // self.steps

    def forget(self) -> None:
        """Delete the kept results, because the next image is unrelated to this one."""
        self.calls = 0
        HookRegistry.check_if_exists_or_initialize(self.denoiser).reset_stateful_hooks(recurse=True)

    def _called(self, *_: Any) -> None:
        self.calls += 1


def cache_of(denoiser: Any) -> str:
    """The value of the setting ``cache`` in force."""
    registries = [module._diffusers_hook for module in denoiser.modules() if hasattr(module, "_diffusers_hook")]
    return BROADCAST if any(registry.get_hook(BROADCAST) is not None for registry in registries) else "off"
