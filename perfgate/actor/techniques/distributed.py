"""Joins the processes (ranks) that share a step, and splits the model between them."""

import os
from datetime import timedelta
from typing import Any

import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch import distributed
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from perfgate.actor import versions
from perfgate.actor.devices.base import Device
from perfgate.actor.request import TrainingSettings
from perfgate.actor.techniques.training_settings import SHARDING
from perfgate.shared.device_kinds import DEVICE_KINDS


def join(chosen: TrainingSettings, device: Device) -> None:
    """Connect to the other ranks of this launch. With a single rank there is nothing to do.

    Raises:
        RuntimeError: this process was not started together with others.
    """
    if chosen.ranks == 1:
        return
    if "PERFGATE_RENDEZVOUS" not in os.environ:
        raise RuntimeError(f"ranks={chosen.ranks} needs a launch of {chosen.ranks} processes")
    distributed.init_process_group(
        DEVICE_KINDS[device.name].backend,
        init_method=os.environ["PERFGATE_RENDEZVOUS"],
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=timedelta(seconds=float(os.environ["PERFGATE_COLLECTIVE_TIMEOUT_S"])),
    )
    if chosen.strategy in SHARDING and device.torch_device == "cpu":
        shard_on_cpu()


def shard_on_cpu() -> None:
    """Make ``accelerate`` shard between processes on a CPU, as it does between GPUs.

    By itself it uses FSDP only on GPUs, and on a CPU falls back to DDP without a message. The function of torch that it
    calls, ``torch.distributed.fsdp.fully_shard``, works on both.
    """
    construct = AcceleratorState.__init__

    def sharding(self: Any, *arguments: Any, **keywords: Any) -> None:
        construct(self, *arguments, **keywords)
        plugin = keywords.get("fsdp_plugin")
        if plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.fsdp_plugin = plugin
            self.distributed_type = DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = sharding


def split(network: Any, chosen: TrainingSettings) -> Any:
    """Return the model, its layers split between the ranks by the model's own plan if the strategy is ``tp``."""
    if chosen.strategy != "tp":
        return network
    kind = type(network)
    make = versions.need("DistributedConfig", "strategy='tp'")
    config, _, mesh = kind.prepare_distribute_model(make(tp_size=chosen.ranks))
    return kind.maybe_distribute_model(network, config, mesh)


def sharding_plugin(chosen: TrainingSettings) -> FullyShardedDataParallelPlugin | None:
    """The plugin that makes ``Accelerator`` shard weights, gradients and optimizer state by FSDP2, or ``None``."""
    if chosen.strategy not in SHARDING:
        return None
    versions.takes(FullyShardedDataParallelPlugin, "fsdp_version", f"strategy={chosen.strategy!r}", "accelerate")
    return FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        cpu_offload=chosen.strategy == "fsdp-offload",
        reshard_after_forward=True,
        cpu_ram_efficient_loading=False,
    )


def share_in_force(wrapped: Any, accelerator: Any = None) -> dict[str, Any]:
    """The values of ``ranks`` and ``strategy`` that are in force.

    Args:
        wrapped: the object that is called in place of the model.
        accelerator: the ``Accelerator``. It alone knows whether each rank works on a part of every sample (``cp``).
    """
    ranks = distributed.get_world_size() if distributed.is_initialized() else 1
    modules = list(wrapped.modules()) if isinstance(wrapped, torch.nn.Module) else []
    sharded = [module for module in modules if isinstance(module, FSDPModule)]
    strategy = "ddp" if any(isinstance(module, DistributedDataParallel) for module in modules) else "none"
    if sharded:
        group = sharded[-1]._get_fsdp_state()._fsdp_param_group
        offloads = group is not None and isinstance(group.offload_policy, CPUOffloadPolicy)
        strategy = "fsdp-offload" if offloads else "fsdp"
        # accelerate sets this when it prepares a model for context parallelism.
        strategy = "cp" if getattr(accelerator, "_cp_context", None) else strategy
    elif modules and any(isinstance(parameter, DTensor) for parameter in wrapped.parameters()):
        strategy = "tp"
    return {"ranks": ranks, "strategy": strategy}
