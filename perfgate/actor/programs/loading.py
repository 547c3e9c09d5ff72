"""Loads a model from its files and calls it once, as a newly started program does."""

import gc
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers

from perfgate.actor import versions
from perfgate.actor.data.inputs import random_batch
from perfgate.actor.devices.base import Device
from perfgate.actor.failures import Unsupported
from perfgate.actor.marks import Mark, between, mark_of
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import OUTCOME_VALUES, Program
from perfgate.actor.request import ForwardSettings, LoadingSettings, Request
from perfgate.actor.techniques.architectures import class_of
from perfgate.actor.techniques.checkpoints import checkpoint, files_of, precision_of
from perfgate.actor.techniques.fresh_compilation import FreshCompilation
from perfgate.actor.techniques.models import DTYPES, build_config
from perfgate.actor.techniques.quantization import CONFIGURATIONS, check_capability
from perfgate.actor.techniques.readback import in_force
from perfgate.shared.settings import asked
from perfgate.shared.wire import SCRATCH

SPARING = (4, 51)  # since this version of transformers, models are always made without weights


class Loading(Program):
    """A step loads the model from files in the page cache, and calls it once.

    The model of the step before is deleted between the steps.
    """

    dry_run = None
    why_not_dry = "fake tensors are read from no file"

    def __init__(self, device: Device, **params: Any) -> None:
        request = Request.of(LoadingSettings, params)
        self.chosen = chosen = request.chosen
        self.device = device
        transformers.utils.logging.disable_progress_bar()  # it is redrawn as time passes
        own = None if SCRATCH in os.environ else TemporaryDirectory(prefix="perfgate-loading-")
        self.own_folder = own  # deleted with the program
        parent = Path(own.name if own else os.environ[SCRATCH])
        self.folder = checkpoint(request.model, request.seed, chosen.stored, chosen.files == "sharded", parent)
        self.model_class = class_of(request.model, self.folder)
        self.options = options_of(chosen, device.torch_device)
        first = ForwardSettings(batch_size=chosen.batch_size, sequence_length=chosen.sequence_length)
        batch = random_batch(build_config(request.model), request.task, first, request.seed)
        if "pixel_values" in batch:
            batch["pixel_values"] = batch["pixel_values"].to(DTYPES[chosen.precision])
        self.batch = {name: values.to(device.torch_device) for name, values in batch.items()}
        self.samples = chosen.batch_size
        self.tokens = batch["input_ids"].numel() if "input_ids" in batch else 0
        self.compilation: FreshCompilation | None = None
        if chosen.compile != "off":
            self.repeats_calls = False
            self.compilation = FreshCompilation(parent / f"compiled-{os.getpid()}", chosen.compile == "cold")
        self.call: Any = None
        self.output: Any = None
        self.marks: list[Mark] = []

    def drive(self, pace: Pace) -> None:
        """Delete the last step's model before each step, and report the parts of the step."""
        while True:
            pace.begin(self.forget)
            logits = self.step()
            pace.end(logits, partial(self.told, tuple(self.marks)))

    def forget(self) -> None:
        """Delete the model and its compiled code."""
        self.network = self.call = self.output = None
        gc.collect()
        if self.compilation is not None:
            self.compilation.restart()

    def step(self) -> Any:
        """Return the logits of the first call."""
        self.marks = [mark_of(self.device)]
        self.network = self.load()
        self.marks.append(mark_of(self.device))
        self.call = self.network if self.compilation is None else torch.compile(self.network)
        with torch.inference_mode():
            found = self.call(**self.batch)
        self.marks.append(mark_of(self.device))
        logits = found.logits if "logits" in found else found.last_hidden_state
        self.output = logits if self.keeps_outcome else None
        return logits

    def load(self) -> Any:
        """Load the model onto the device."""
        network = self.model_class.from_pretrained(self.folder, local_files_only=True, **self.options).eval()
        return network if "device_map" in self.options else network.to(self.device.torch_device)

    def told(self, marks: tuple[Mark, ...]) -> dict[str, float]:
        """The time of each part of a step, by both clocks, once the device is done, and the time of compiling."""
        begin, loaded, called = marks
        result = between(self.device, "load_time_s", begin, loaded)
        result |= between(self.device, "first_call_time_s", loaded, called)
        return result if self.compilation is None else result | self.compilation.metrics()

    def outcome(self) -> dict[str, list[float]]:
        """The beginning of the first call's logits."""
        return {"logits": [] if self.output is None else self.output.flatten()[:OUTCOME_VALUES].float().tolist()}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the files, from the model, and from the folder of compiled code."""
        found = {"files": files_of(self.folder), "stored": precision_of(self.folder)}
        if self.network is not None:
            found |= in_force("on", self.network, self.call)
        if self.compilation is not None and found.get("compile") == "on":
            found["compile"] = "cold" if self.compilation.began_empty else "warm"
        return asked(self.chosen), found


def options_of(chosen: LoadingSettings, device: str) -> dict[str, Any]:
    """The arguments of ``from_pretrained``.

    Args:
        chosen: the settings.
        device: the device's name in torch.

    Raises:
        Unsupported: this version of transformers does not know an argument, or the GPU lacks a number type.
    """
    options: dict[str, Any] = {versions.dtype_option(): DTYPES[chosen.precision]}
    if chosen.device_map != "default":
        options["device_map"] = chosen.device_map
    if chosen.low_cpu_mem_usage != "default":
        if versions.at_least("transformers", *SPARING):
            known = versions.installed("transformers")
            raise Unsupported(f"low_cpu_mem_usage has no effect in {known}, which always makes models without weights")
        options["low_cpu_mem_usage"] = chosen.low_cpu_mem_usage == "on"
    if chosen.quantization != "off":
        check_capability(chosen.quantization, device)
        options["quantization_config"] = CONFIGURATIONS[chosen.quantization](DTYPES[chosen.precision])
        options.setdefault("device_map", {"": device})
    return options
