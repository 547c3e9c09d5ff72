from transformers import PretrainedConfig


class TinyConfig(PretrainedConfig):
    model_type = "tinylm"

    def __init__(self, vocab_size=256, hidden_size=32, num_hidden_layers=2, **more):
        self.vocab_size, self.hidden_size, self.num_hidden_layers = vocab_size, hidden_size, num_hidden_layers
        super().__init__(**more)
