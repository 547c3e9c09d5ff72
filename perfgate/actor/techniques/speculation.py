"""Speculative decoding: drafts by an assistant or by look-up in the text so far, which the model checks in one pass."""

import copy
from typing import Any

DRAFT_TOKENS = 5


class Speculation:
    """What ``generate`` is told, and how many of the drafted tokens it accepted.

    The assistant is the model's own first layers between its embedding and its output layer: as the weights are random,
    no separate model would ever agree with it, while this one agrees about as often as a good assistant does. Neither
    the length of a draft nor the confidence that it needs adapts, so that every call does the same work.

    Args:
        network: which checks the drafts.
        assistant_layers: of the assistant; 0 for none.
        prompt_lookup_tokens: the longest draft that is copied from the text; 0 for none.
    """

    def __init__(self, network: Any, assistant_layers: int, prompt_lookup_tokens: int) -> None:
        self.logits: Any = None
        self.rows = 0
        self._layers = assistant_layers
        self._lookup = prompt_lookup_tokens
        self._assistant = shortened(network, assistant_layers) if assistant_layers else None
        self.restart()
        network.register_forward_hook(self.checked, with_kwargs=True)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``generate``."""
        if self._assistant is not None:
            return {"assistant_model": self._assistant}
        return {"prompt_lookup_num_tokens": self._lookup}

    def restart(self) -> None:
        """Count from here on."""
        self._calls = self._passed = 0

    def checked(self, _: Any, arguments: Any, keywords: dict[str, Any], output: Any) -> None:
        """The model has run over a draft, its first one with the prompt before it."""
        ids = keywords["input_ids"] if "input_ids" in keywords else arguments[0]
        self._calls += 1
        self._passed += ids.shape[1]
        self.logits = output.logits[:, -1]
        self.rows = self.logits.shape[0]

    def drafted(self, prompt_length: int) -> int:
        """How many drafted tokens the model ran over: each pass begins with one that it chose itself, or the prompt."""
        return self._passed - prompt_length - (self._calls - 1)

    def metrics(self, prompt_length: int, new_tokens: int) -> dict[str, float]:
        """The share of the drafted tokens that were accepted; each pass adds one token of its own to them."""
        drafted = self.drafted(prompt_length)
        return {"accepted_share": (new_tokens - self._calls) / drafted} if drafted else {}

    def in_force(self, prompt_length: int) -> dict[str, int]:
        """The settings of whatever wrote drafts; 0 where no draft was written."""
        drafted = self.drafted(prompt_length) > 0
        return {
            "assistant_layers": self._layers if drafted and self._assistant is not None else 0,
            "prompt_lookup_tokens": self._lookup if drafted and self._assistant is None else 0,
        }


def drafts_in_force(speculation: Speculation | None, prompt_length: int) -> dict[str, int]:
    """The settings of drafts; 0 where nothing writes any."""
    nothing = {"assistant_layers": 0, "prompt_lookup_tokens": 0}
    return nothing if speculation is None else speculation.in_force(prompt_length)


def shortened(network: Any, layers: int) -> Any:
    """A model of the first layers of another, whose weights it shares.

    Raises:
        ValueError: there are no more layers than that.
    """
    config = copy.deepcopy(network.config)
    if layers >= config.num_hidden_layers:
        raise ValueError(f"assistant_layers={layers} must be below the model's {config.num_hidden_layers} layers")
    config.num_hidden_layers = layers
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = kinds[:layers]
    assistant = type(network)(config).eval().to(network.device)
    weights = network.state_dict(keep_vars=True)
    assistant.load_state_dict({name: weights[name] for name in assistant.state_dict()}, assign=True)
    assistant.tie_weights()
    assistant.generation_config.num_assistant_tokens = DRAFT_TOKENS
    assistant.generation_config.num_assistant_tokens_schedule = "constant"
    assistant.generation_config.assistant_confidence_threshold = 0.0
    return assistant
