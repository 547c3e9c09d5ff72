"""Turns texts into tokens and back, with a tokenizer that is made here."""

import os
from collections.abc import Callable
from typing import Any

from perfgate.actor.data.tokenizers import ADDED, made_tokenizer, random_texts
from perfgate.actor.devices.base import Device
from perfgate.actor.programs.base import OUTCOME_VALUES, Program
from perfgate.actor.request import TokenizingSettings
from perfgate.shared.settings import asked


class Tokenizing(Program):
    """A step handles all texts once."""

    host_work = True

    def __init__(self, device: Device, what: str, seed: int, **settings: Any) -> None:
        # A tokenizer's threads would compete for the actor's only core.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self.chosen = chosen = TokenizingSettings(**settings)
        self.texts = random_texts(chosen.texts, chosen.words, seed)
        self.tokenizer = made_tokenizer(chosen.tokenizer, self.texts, chosen.added_tokens)
        self.ids: list[list[int]] = self.tokenizer(self.texts)["input_ids"]
        self.words = [self.tokenizer.convert_ids_to_tokens(ids) for ids in self.ids]
        self.chats = [
            [{"role": "user", "content": text}, {"role": "assistant", "content": text}] for text in self.texts
        ]
        works: dict[str, Callable[[], Any]] = {
            "encode": lambda: self.tokenizer(self.texts, padding=True)["input_ids"],
            "decode": lambda: self.tokenizer.batch_decode(self.ids),
            "convert": lambda: [self.tokenizer.convert_tokens_to_ids(words) for words in self.words],
            "chat": lambda: self.tokenizer.apply_chat_template(self.chats, add_generation_prompt=True),
        }
        self.work = works[what]
        self.samples, self.tokens = chosen.texts, sum(map(len, self.ids))
        self.result: Any = None

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the tokenizer."""
        added = [token for token in self.tokenizer.get_added_vocab() if token.startswith(ADDED)]
        kind = "fast" if self.tokenizer.is_fast else "slow"
        return asked(self.chosen), {"tokenizer": kind, "added_tokens": len(added)}

    def outcome(self) -> dict[str, list[float]]:
        """The first tokens."""
        return {"tokens": numbers_in(self.result)[:OUTCOME_VALUES]}

    def step(self) -> None:
        """Process the texts."""
        found = self.work()
        self.result = found if self.keeps_outcome else None


def numbers_in(found: Any) -> list[float]:
    """All numbers of nested lists, in order."""
    if isinstance(found, int | float):
        return [float(found)]
    if hasattr(found, "get"):
        found = found["input_ids"]
    return [number for one in found or () for number in numbers_in(one)] if not isinstance(found, str) else []
