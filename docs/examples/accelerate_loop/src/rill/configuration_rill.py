"""The sizes of a Rill."""

from transformers import PretrainedConfig


class RillConfig(PretrainedConfig):
    model_type = "rill"

    def __init__(self, vocab_size=512, hidden_size=64, num_layers=2, num_heads=4, max_length=128, **more):
        self.vocab_size, self.hidden_size, self.max_length = vocab_size, hidden_size, max_length
        self.num_layers, self.num_heads = num_layers, num_heads
        super().__init__(**more)
