"""Serves requests of different lengths that arrive together, in padded batches or by continuous batching."""

import itertools
from contextlib import nullcontext
from typing import Any

import torch
from transformers import GenerationConfig

from perfgate.actor import versions
from perfgate.actor.data.inputs import Requests, padded
from perfgate.actor.devices.base import Device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.actor.request import Request, ServingSettings
from perfgate.actor.techniques.models import build_inference
from perfgate.actor.techniques.readback import asked_and_in_force

PAGE_TOKENS = 32
ANSWER_S = 1.0
Batch = list[tuple[list[int], int]]


class Serving(Program):
    """A step answers all requests. Its token count is the number of generated tokens."""

    dry_run = None
    why_not_dry = "how requests are batched depends on when each one ends, and continuous batching has its own thread"

    def __init__(self, device: Device, **params: Any) -> None:
        request = Request.of(ServingSettings, params)
        self.chosen = chosen = request.chosen
        self.network = build_inference(request, device.torch_device)
        self.requests = Requests(chosen, self.network.config.vocab_size, request.seed)
        self.samples = chosen.requests
        self.tokens = int(self.requests.new_tokens.sum())
        self.threaded = chosen.batching == "continuous"
        make = ContinuousBatches if self.threaded else PaddedBatches
        self.server: ContinuousBatches | PaddedBatches = make(self.network, chosen)
        self.answers: list[list[int]] = []
        self.forward_calls = self.processed_tokens = 0
        self.logits: Any = None
        self.network.register_forward_hook(self.ran, with_kwargs=True)

    def ran(self, _: Any, arguments: Any, keywords: dict[str, Any], output: Any) -> None:
        """Count a forward pass and its tokens, including padding."""
        ids = keywords["input_ids"] if "input_ids" in keywords else arguments[0]
        self.forward_calls += 1
        self.processed_tokens += ids.numel()
        self.logits = output.logits

    def drive(self, pace: Pace) -> None:
        """On each turn, answer all requests."""
        while True:
            batch = self.requests.draw()
            pace.begin()
            self.forward_calls = self.processed_tokens = 0
            self.answers = self.server.answer(batch)
            counts = {"forward_calls": self.forward_calls, "processed_tokens": self.processed_tokens}
            logits, self.logits = self.logits, None
            pace.end(logits, counts)

    def outcome(self) -> dict[str, list[float]]:
        """All generated tokens of the last step."""
        return {"tokens": list(itertools.chain.from_iterable(self.answers))}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read the settings back from the model and from the server."""
        asked, found = asked_and_in_force(self.chosen, self.network, self.network)
        found["attention"] = found["attention"].removeprefix("paged|")
        return asked, found | self.server.in_force()


class PaddedBatches:
    """Serves requests in their order, in batches of fixed size. A batch takes as long as its longest answer."""

    def __init__(self, network: Any, chosen: ServingSettings) -> None:
        self._network = network
        self._batch_size = chosen.batch_size

    def answer(self, batch: Batch) -> list[list[int]]:
        """The new tokens of each request."""
        starts = range(0, len(batch), self._batch_size)
        return [new for start in starts for new in self._together(batch[start : start + self._batch_size])]

    def _together(self, batch: Batch) -> list[list[int]]:
        longest = max(count for _, count in batch)
        lengths = {"min_new_tokens": longest, "max_new_tokens": longest}
        inputs = {name: value.to(self._network.device) for name, value in padded([ids for ids, _ in batch]).items()}
        with torch.inference_mode():
            found = self._network.generate(**inputs, **lengths, do_sample=False, pad_token_id=0, eos_token_id=None)
        rows = found[:, -longest:].tolist()
        return [row[:count] for row, (_, count) in zip(rows, batch, strict=True)]

    def in_force(self) -> dict[str, Any]:
        """The settings in force: padded batches share and overlap nothing."""
        return {"batching": "padded", "prefix_sharing": False, "asynchronous": False}


class ContinuousBatches:
    """Serves requests by continuous batching: they enter and leave from pass to pass; keys and values are in pages.

    The manager keeps running between steps, as in a server. Its cache has a fixed size, because by default it would
    take most of the free memory. Kernels and graphs that the manager would switch on by itself are switched off.
    """

    def __init__(self, network: Any, chosen: ServingSettings) -> None:
        make = versions.need("ContinuousBatchingConfig", "batching='continuous'")
        pages = -(-(chosen.prompt_length + chosen.new_tokens) // PAGE_TOKENS) + 1
        asked = {
            "page_size": PAGE_TOKENS,
            "num_blocks": 2 * chosen.batch_size * pages,  # the manager keeps a fifth free, and stores prefixes
            "max_batch_tokens": 2 * chosen.prompt_length,
            "max_requests_per_batch": chosen.batch_size,
            "allow_block_sharing": chosen.prefix_sharing,
            "use_async_batching": chosen.asynchronous,
            "use_cuda_graph": False,
            "auto_switch_to_flash": False,
        }
        settings = make(**versions.fields_for(make, asked))
        greedy = GenerationConfig(max_new_tokens=chosen.new_tokens, do_sample=False, pad_token_id=0, eos_token_id=-1)
        self._manager = network.init_continuous_batching(greedy, settings)
        self._manager.warmup()  # creates the cache
        self._manager.start()

    def answer(self, batch: Batch) -> list[list[int]]:
        """The new tokens of each request.

        Raises:
            RuntimeError: a request failed, or the thread that serves them ended.
        """
        manager = self._manager
        # All requests are queued before the first pass begins, so that every step has the same passes.
        with getattr(manager, "pause", nullcontext)():
            names = [manager.add_request(ids, max_new_tokens=count) for ids, count in batch]
        found: dict[str, list[int]] = {}
        while len(found) < len(names):
            result = manager.get_result(timeout=ANSWER_S)
            if result is not None and result.error is not None:
                raise RuntimeError(f"request {result.request_id} failed: {result.error}")
            if result is not None and result.is_finished():
                found[result.request_id] = result.generated_tokens
            if result is None and not manager.is_running():
                raise RuntimeError("the thread that serves requests has ended")
        return [found[name] for name in names]

    def in_force(self) -> dict[str, Any]:
        """The settings in force, read from the objects that the manager built."""
        processor = self._manager.batch_processor
        return {
            "batching": "continuous" if self._manager.is_running() else "off",
            "prefix_sharing": bool(processor.cache.use_prefix_sharing),
            "asynchronous": bool(processor.use_async_batching),
        }
