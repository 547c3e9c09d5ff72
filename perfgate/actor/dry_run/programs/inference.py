"""A forward pass without gradients, on fake tensors."""

from typing import Any

import torch

from perfgate.actor import versions
from perfgate.actor.data.inputs import generation_inputs, image_shape, sound_shape
from perfgate.actor.data.sentence_pairs import pair_prompts
from perfgate.actor.data.text import prompt_batch
from perfgate.actor.dry_run.context import DryContext, NoDryRun, refuse_undry
from perfgate.actor.dry_run.known_values import exact_modes
from perfgate.actor.local_models import build_tokenizer
from perfgate.actor.programs.forward import embed, forward_batch
from perfgate.actor.request import ForwardSettings, GenerationSettings, Request
from perfgate.actor.techniques.models import build_model


class DryForward:
    """One forward pass; for embeddings with mean pooling and normalization after it."""

    def __init__(self, context: DryContext, **params: Any) -> None:
        request = Request.of(ForwardSettings, params)
        chosen = request.chosen
        refuse_undry(chosen)
        self.embeds = request.task == "embedding"
        self.network = build_model(request.model, request.seed, chosen.precision, chosen.attention, load=False).eval()
        context.tracker.watch(self.network)
        config = self.network.config
        if request.task == "image-classification":
            pixels = context.input(chosen.batch_size, image_shape(config), None)
            self.batch = {"pixel_values": pixels.to(self.network.dtype)}
        else:
            with exact_modes():
                batch = forward_batch(request, config)
            self.batch = context.adopt_all(batch)

    def step(self) -> Any:
        """Return logits, or sentence embeddings."""
        with torch.no_grad():
            output = self.network(**self.batch)
            return embed(output.last_hidden_state, self.batch.get("attention_mask")) if self.embeds else output.logits


class DryGeneration:
    """A prefill, and a decoding step for each further token."""

    def __init__(self, context: DryContext, **params: Any) -> None:
        request = Request.of(GenerationSettings, params)
        self.chosen = chosen = request.chosen
        refuse_undry(chosen)
        self.cached = chosen.cache != "none"
        self.context = context
        self.beams = chosen.beams
        self.new_tokens = chosen.new_tokens
        self.network = build_model(request.model, request.seed, chosen.precision, chosen.attention, load=False).eval()
        context.tracker.watch(self.network)
        config, prompts = self.network.config, request.text
        batch_size, prompt_length = chosen.batch_size, chosen.prompt_length
        if hasattr(config, "num_mel_bins"):
            sound = context.input(batch_size, sound_shape(config), None).to(self.network.dtype)
            self.inputs = {"input_features": sound}
        else:
            with exact_modes():
                if isinstance(prompts, dict):
                    batch = pair_prompts(prompts, config.vocab_size, batch_size, prompt_length)
                elif prompts:
                    batch = prompt_batch(build_tokenizer(request.model), prompts, batch_size, prompt_length)
                else:
                    batch = generation_inputs(config, chosen, request.seed)
                if not config.is_encoder_decoder:
                    # generate() makes a cache itself.
                    batch.setdefault("attention_mask", torch.ones_like(batch["input_ids"]))
            self.inputs = context.adopt_all(batch)
        self.start = getattr(config, "decoder_start_token_id", None)

    def step(self) -> None:
        """Generate; any tokens will do, because nothing reads the chosen ones."""
        with torch.no_grad():
            if self.network.config.is_encoder_decoder:
                self.translate()
            else:
                self.continue_prompt()

    def continue_prompt(self) -> None:
        """Read the prompt, then feed back one token at a time, or without a cache all tokens again."""
        self.read = 0  # the number of tokens so far
        ids, mask = (self.each_beam(self.inputs[name]) for name in ("input_ids", "attention_mask"))
        positions = mask.long().cumsum(-1) - 1
        positions = positions.masked_fill(mask == 0, 0)
        # As in generate(), which treats a mask of ones as no mask.
        mask = None if versions.generation_drops_full_masks() and bool((mask == 1).all()) else mask
        output = self.prefill(ids, mask, positions)
        for _ in range(self.new_tokens - 1):
            ids, token = self.append(ids, output.logits, output.past_key_values)
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones((mask.shape[0], 1))], dim=-1)
            following = positions[:, -1:] + 1
            positions = following if self.cached else torch.cat([positions, following], dim=-1)
            output = self.call(token if self.cached else ids, mask, positions, output.past_key_values)
        self.append(ids, output.logits, output.past_key_values)

    def prefill(self, ids: Any, mask: Any, positions: Any) -> Any:
        """Read the prompt at once or in chunks; returns the result of the last call."""
        length = ids.shape[1]
        cache = empty_cache(self.network, self.chosen.cache, ids.shape[0], length + self.new_tokens - 1)
        size = self.chosen.prefill_chunk_size or length
        if is_static(cache) and size < length and hasattr(self.network, "_get_static_cache_init_shape"):
            # Its memory is made in advance if chunks may be compiled.
            heads, width = self.network._get_static_cache_init_shape()
            kind = {"dtype": self.network.dtype, "device": self.network.device}
            cache.early_initialization(batch_size=ids.shape[0], num_heads=heads, head_dim=width, **kind)
        for begin in range(0, length, size):
            end = min(begin + size, length)
            seen = None if mask is None else mask[:, :end]
            output = self.call(ids[:, begin:end], seen, positions[:, begin:end], cache)
            cache = output.past_key_values
        return output

    def call(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        """Run the model as ``generate`` does."""
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}
        if versions.generation_tells_places(self.network):
            with exact_modes():
                places = torch.arange(self.read, self.read + ids.shape[1])
            inputs["cache_position"] = self.context.adopt(places)
        if is_static(cache):
            # The mask for the full length of the cache is made before the call, which may be compiled.
            del inputs["input_ids"]
            inputs = self.network.prepare_inputs_for_generation(ids, **inputs)
        self.read += ids.shape[1]
        output = self.network(**inputs, use_cache=self.cached, **versions.last_logits(self.network))
        if not hasattr(output, "past_key_values"):
            raise NoDryRun(f"{type(self.network).__name__} keeps no keys and values, but a state of its own")
        return output

    def translate(self) -> None:
        """Encode once, then decode one token at a time with a growing cache."""
        if self.chosen.cache not in ("default", "dynamic", "none"):
            raise NoDryRun(f"of an encoder-decoder model's caches cache={self.chosen.cache!r} is not taken over")
        inputs = self.inputs
        if hasattr(self.network, "_get_input_segment"):
            # Whisper's generate() keeps a copy of the part of the sound that it processes.
            inputs = {name: torch.cat(rows.split(1)) for name, rows in inputs.items()}
        encoded = self.network.get_encoder()(**inputs)
        source = next(iter(inputs.values()))
        ids = self.each_beam(self.context.adopt(torch.full((source.shape[0], 1), self.start)))
        encoded.last_hidden_state = self.each_beam(encoded.last_hidden_state)
        token, past = ids, None
        mask = (
            {"attention_mask": self.each_beam(self.inputs["attention_mask"])} if "attention_mask" in self.inputs else {}
        )
        for _ in range(self.new_tokens):
            output = self.network(
                encoder_outputs=encoded,
                decoder_input_ids=token if self.cached else ids,
                past_key_values=past,
                use_cache=self.cached,
                **mask,
            )
            past = output.past_key_values
            ids, token = self.append(ids, output.logits, past)

    def each_beam(self, rows: Any) -> Any:
        """Repeat the rows for each beam."""
        return rows.repeat_interleave(self.beams, dim=0) if self.beams > 1 else rows

    def append(self, ids: Any, logits: Any, past: Any) -> tuple[Any, Any]:
        """Choose the likeliest token and append it."""
        scores = logits[:, -1, :].to(copy=True, dtype=torch.float32)
        if self.beams > 1:
            return self.go_on(ids, torch.log_softmax(scores, dim=-1), past)
        chosen = torch.argmax(scores, dim=-1)[:, None]
        return torch.cat([ids, chosen], dim=-1), chosen

    def go_on(self, ids: Any, scores: Any, past: Any) -> tuple[Any, Any]:
        """Choose the likeliest beams and their tokens, and reorder the cache.

        ``generate`` also keeps finished beams apart; that is left out, because it handles only a few numbers for each
        beam.
        """
        vocabulary = scores.shape[-1]
        samples = ids.shape[0] // self.beams
        # In the worst case, one beam ends wherever another continues.
        _, best = scores.view(samples, -1).topk(2 * self.beams)
        best = best[:, : self.beams]
        first = torch.arange(samples)[:, None] * self.beams
        rows = (first + best // vocabulary).flatten()
        if past is not None:
            past.reorder_cache(rows)
        chosen = (best % vocabulary).view(-1, 1)
        return torch.cat([ids[rows], chosen], dim=-1), chosen


STATIC_SINCE, QUANTIZED_SINCE = (4, 53), (5, 0)  # the versions of transformers since which caches are made as here


def is_static(cache: Any) -> bool:
    """Whether a cache has its full length from the beginning."""
    kind = versions.find("StaticCache")
    return kind is not None and isinstance(cache, kind)


def empty_cache(network: Any, kind: str, batch_size: int, length: int) -> Any:
    """A cache as ``generate`` makes it before it calls a model; ``None`` if the model makes it itself, or has none.

    Args:
        network: the model.
        kind: a value of the setting ``cache``.
        batch_size: the number of sequences that it must hold.
        length: the number of tokens that it must hold.

    Raises:
        NoDryRun: it needs streams of a device, or a package that works on real values.
    """
    if kind in ("default", "dynamic", "none"):
        return None
    since = {"static": STATIC_SINCE, "quantized-fp8": QUANTIZED_SINCE}.get(kind)
    if since and not versions.at_least("transformers", *since):
        raise NoDryRun(f"cache={kind!r} is made in another way by {versions.installed('transformers')}")
    if kind == "static":
        return versions.static_cache(network, batch_size, length)
    if kind == "quantized-fp8":
        config = network.config.get_text_config(decoder=True)
        return versions.find("QuantizedCache")(backend="fp8", config=config)
    raise NoDryRun(f"what cache={kind!r} moves and keeps shows on real tensors alone")
