"""A forward pass without gradients, on fake tensors."""

from typing import Any

import torch

from perfgate.actor.ledger.known import exact_modes
from perfgate.actor.ledger.stand import Stand, refuse_undry
from perfgate.actor.programs.forward import embed
from perfgate.actor.programs.inputs import image_shape, sentence_batch, sound_shape
from perfgate.actor.programs.models import InferenceSettings, build_model, build_tokenizer
from perfgate.actor.programs.text import prompt_batch


class DryForward:
    """One forward pass; for embeddings with mean pooling and normalization after it."""

    def __init__(
        self,
        stand: Stand,
        model: dict[str, Any],
        task: str,
        seed: int,
        batch_size: int,
        sequence_length: int,
        sentences: list[str] | None = None,
        **settings: Any,
    ) -> None:
        chosen = InferenceSettings(**settings)
        refuse_undry(chosen)
        self.embeds = task == "embedding"
        self.network = build_model(model, seed, chosen.precision, chosen.attention, load=False).eval()
        stand.tracker.watch(self.network)
        config = self.network.config
        if sentences:
            with exact_modes():
                batch = sentence_batch(build_tokenizer(model), sentences, batch_size, sequence_length)
            self.batch = {name: stand.adopt(values) for name, values in batch.items()}
        elif task == "image-classification":
            self.batch = {"pixel_values": stand.input(batch_size, image_shape(config), None).to(self.network.dtype)}
        else:
            tokens = ((sequence_length,), (1, config.vocab_size))
            ones = ((sequence_length,), (1, 2))
            self.batch = {
                "input_ids": stand.input(batch_size, *tokens),
                "attention_mask": stand.input(batch_size, *ones),
            }

    def step(self) -> Any:
        """Return logits, or sentence embeddings."""
        with torch.no_grad():
            output = self.network(**self.batch)
            return embed(output.last_hidden_state, self.batch["attention_mask"]) if self.embeds else output.logits


class DryGeneration:
    """A prefill and a decode step for each further token, over a cache that grows."""

    def __init__(
        self,
        stand: Stand,
        model: dict[str, Any],
        task: str,
        seed: int,
        batch_size: int,
        prompt_length: int,
        new_tokens: int,
        prompts: list[Any] | None = None,
        **settings: Any,
    ) -> None:
        del task
        chosen = InferenceSettings(**settings)
        refuse_undry(chosen)
        self.stand = stand
        self.new_tokens = new_tokens
        self.network = build_model(model, seed, chosen.precision, chosen.attention, load=False).eval()
        stand.tracker.watch(self.network)
        config = self.network.config
        if hasattr(config, "num_mel_bins"):
            sound = stand.input(batch_size, sound_shape(config), None).to(self.network.dtype)
            self.inputs = {"input_features": sound}
        elif prompts:
            with exact_modes():
                batch = prompt_batch(build_tokenizer(model), prompts, batch_size, prompt_length)
            self.inputs = {name: stand.adopt(values) for name, values in batch.items()}
        else:
            self.inputs = stand.prompts(config.vocab_size, batch_size, prompt_length, seed)
        self.start = getattr(config, "decoder_start_token_id", None)

    def step(self) -> None:
        """Generate greedily; the chosen tokens are not looked at, so any will do."""
        with torch.no_grad():
            if self.network.config.is_encoder_decoder:
                self.translate()
            else:
                self.continue_prompt()

    def continue_prompt(self) -> None:
        """Prefill with the prompt, then feed back one token at a time."""
        ids, mask = self.inputs["input_ids"], self.inputs["attention_mask"]
        positions = mask.long().cumsum(-1) - 1
        positions = positions.masked_fill(mask == 0, 0)
        # As generate() does, which calls a mask of ones no mask.
        mask = None if bool((mask == 1).all()) else mask
        output = self.network(
            input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1
        )
        for _ in range(self.new_tokens - 1):
            ids, token = self.append(ids, output.logits)
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones((mask.shape[0], 1))], dim=-1)
            positions = positions[:, -1:] + 1
            output = self.network(
                input_ids=token,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=output.past_key_values,
                use_cache=True,
                logits_to_keep=1,
            )
        self.append(ids, output.logits)

    def translate(self) -> None:
        """Encode once, then decode one token at a time."""
        encoded = self.network.get_encoder()(**self.inputs)
        source = next(iter(self.inputs.values()))
        ids = self.stand.adopt(torch.full((source.shape[0], 1), self.start))
        token, past = ids, None
        mask = {"attention_mask": self.inputs["attention_mask"]} if "attention_mask" in self.inputs else {}
        for _ in range(self.new_tokens):
            output = self.network(
                encoder_outputs=encoded, decoder_input_ids=token, past_key_values=past, use_cache=True, **mask
            )
            past = output.past_key_values
            ids, token = self.append(ids, output.logits)

    def append(self, ids: Any, logits: Any) -> tuple[Any, Any]:
        """Choose the likeliest token and put it behind the others."""
        scores = logits[:, -1, :].to(copy=True, dtype=torch.float32)
        chosen = torch.argmax(scores, dim=-1)[:, None]
        return torch.cat([ids, chosen], dim=-1), chosen
