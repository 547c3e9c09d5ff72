"""Speculative decoding: an assistant or a look-up in the text drafts tokens, and the model checks them in one pass."""

import copy
from typing import Any

DRAFT_TOKENS = 5


class Speculation:
    """Makes the arguments of ``generate`` for speculative decoding, and counts the drafted tokens.

    The assistant consists of the model's embedding, its first layers, and its output layer. With random weights a
    separate assistant would never agree with the model, while this one agrees about as often as a good assistant does.
    The length of a draft and the confidence that it needs are fixed, so every call does the same work.

    Args:
        network: the model, which checks the drafts.
        assistant_layers: number of layers of the assistant; 0 for no assistant.
        prompt_lookup_tokens: length of the longest draft that is copied from the text; 0 for no look-up.
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
        """The keyword arguments of ``generate`` for these settings."""
        if self._assistant is not None:
            return {"assistant_model": self._assistant}
        return {"prompt_lookup_num_tokens": self._lookup}

    def restart(self) -> None:
        """Set the counts back to zero."""
        self._calls = self._passed = 0

    def checked(self, _: Any, arguments: Any, keywords: dict[str, Any], output: Any) -> None:
        """Count a forward pass of the model over a draft. The first pass also reads the prompt."""
        ids = keywords["input_ids"] if "input_ids" in keywords else arguments[0]
        self._calls += 1
        self._passed += ids.shape[1]
        self.logits = output.logits[:, -1]
        self.rows = self.logits.shape[0]

    def drafted(self, prompt_length: int) -> int:
        """The number of drafted tokens that the model has checked.

        The first pass also reads the prompt, and each later pass also reads one token that the model chose itself.
        """
        return self._passed - prompt_length - (self._calls - 1)

    def metrics(self, prompt_length: int, new_tokens: int) -> dict[str, float]:
        """The share of drafted tokens that the model accepted. (Each pass adds one token of the model's own.)"""
        drafted = self.drafted(prompt_length)
        return {"accepted_share": (new_tokens - self._calls) / drafted} if drafted else {}

    def in_force(self, prompt_length: int) -> dict[str, int]:
        """The settings in force by name; 0 if there were no drafts of that kind."""
        drafted = self.drafted(prompt_length) > 0
        return {
            "assistant_layers": self._layers if drafted and self._assistant is not None else 0,
            "prompt_lookup_tokens": self._lookup if drafted and self._assistant is None else 0,
        }


def drafts_in_force(speculation: Speculation | None, prompt_length: int) -> dict[str, int]:
    """The settings in force by name; 0 without speculation."""
    nothing = {"assistant_layers": 0, "prompt_lookup_tokens": 0}
    return nothing if speculation is None else speculation.in_force(prompt_length)


def shortened(network: Any, layers: int) -> Any:
    """Build a model from the first layers of another model; both share their weights.

    Raises:
        ValueError: the other model does not have more layers than that.
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
