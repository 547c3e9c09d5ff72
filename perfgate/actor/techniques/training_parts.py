"""The parts that every training step is made of, whether the Trainer, a plain loop or a dry run takes it."""

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


@dataclass(frozen=True)
class TrainingParts:
    """The model, and the samples that it is trained on.

    Attributes:
        chosen: the settings.
        network: the model, with everything in force that neither the optimizer nor the loop knows of.
        source: the samples.
    """

    chosen: TrainingSettings
    network: Any
    source: Source

    @classmethod
    def build(cls, request: Request, device: Device) -> "TrainingParts":
        """Join the other ranks, if there are any, and build the parts on this one."""
        chosen = request.chosen
        join(chosen, device)
        configure_allocator(chosen.allocator)
        network = network_to_train(request)
        return cls(chosen, network, training_source(request, network.config))


def network_to_train(request: Request, load: bool = True, offloading: Any = None) -> Any:
    """The model as it is trained.

    Args:
        request: the model and its settings.
        load: read or draw weights; else only the shape is built.
        offloading: makes the context in which activations go to the host; ``None`` for torch's ``save_on_cpu``.
    """
    chosen = request.chosen
    network = split(build_training(request, load), chosen)
    save_memory(network, chosen.chunked_loss, chosen.activation_offload, offloading)
    return network


def make_of_optimizer(chosen: TrainingSettings, arguments: Any, network: Any) -> tuple[Any, dict[str, Any]]:
    """The class or factory of the optimizer, and its arguments, as the Trainer chooses them.

    Args:
        chosen: the settings.
        arguments: of the Trainer.
        network: that the optimizer is for.
    """
    own = built_here(chosen.optimizer, arguments.learning_rate)
    return own or versions.trainers_optimizer(Trainer, arguments, network)


def plain_optimizer(chosen: TrainingSettings, network: Any, on_cpu: bool = True) -> tuple[Any, dict[str, Any]]:
    """The same for a loop without a Trainer."""
    return make_of_optimizer(chosen, training_arguments(chosen, use_cpu=on_cpu), network)
