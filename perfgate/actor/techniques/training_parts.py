"""Builds the parts of a training step that the Trainer, the plain loop and the dry run share."""

from dataclasses import dataclass
from typing import Any

from transformers import Trainer

from perfgate.actor import versions
from perfgate.actor.data.loading import Source, training_source
from perfgate.actor.devices.base import Device
from perfgate.actor.request import Request, TrainingSettings
from perfgate.actor.techniques.distributed import join, split
from perfgate.actor.techniques.memory_savings import configure_allocator, save_memory
from perfgate.actor.techniques.models import build_training
from perfgate.actor.techniques.optimizers import built_here
from perfgate.actor.techniques.training_settings import training_arguments
from perfgate.shared.device_kinds import DEVICE_KINDS


@dataclass(frozen=True)
class TrainingParts:
    """The model, and the samples that it is trained on.

    Attributes:
        chosen: the settings.
        network: the model, with all settings in force except those of the optimizer and of the loop.
        source: the samples.
    """

    chosen: TrainingSettings
    network: Any
    source: Source

    @classmethod
    def build(cls, request: Request, device: Device) -> "TrainingParts":
        """Join the other ranks, if there are any, and build the parts for this rank."""
        chosen = request.chosen
        join(chosen, device)
        configure_allocator(chosen.allocator)
        network = network_to_train(request, device=device.torch_device)
        source = training_source(request, network.config)
        return cls(chosen, network, source.repeated() if DEVICE_KINDS[device.name].bursts else source)


def network_to_train(request: Request, load: bool = True, offloading: Any = None, device: str = "cpu") -> Any:
    """Build the model to be trained.

    Args:
        request: the model and its settings.
        load: whether weights are loaded or drawn. If not, only the shape is built.
        offloading: makes the context that moves activations to the host; ``None`` for torch's ``save_on_cpu``.
        device: the name in torch of the device that draws random weights.
    """
    chosen = request.chosen
    network = split(build_training(request, load, device), chosen)
    if chosen.use_cache != "default":
        network.config.use_cache = chosen.use_cache
    save_memory(network, chosen.chunked_loss, chosen.activation_offload, offloading)
    return network


def make_of_optimizer(chosen: TrainingSettings, arguments: Any, network: Any) -> tuple[Any, dict[str, Any]]:
    """The class or factory of the optimizer and its arguments, as the Trainer chooses them.

    Args:
        chosen: the settings.
        arguments: the Trainer's arguments.
        network: the model to be trained.
    """
    own = built_here(chosen.optimizer, arguments.learning_rate)
    return own or versions.trainers_optimizer(Trainer, arguments, network)


def plain_optimizer(chosen: TrainingSettings, network: Any, on_cpu: bool = True) -> tuple[Any, dict[str, Any]]:
    """The class or factory of the optimizer and its arguments, for a loop without a Trainer."""
    return make_of_optimizer(chosen, training_arguments(chosen, use_cpu=on_cpu), network)
