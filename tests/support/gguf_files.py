"""A small model as a GGUF file."""

from pathlib import Path

import numpy as np

WIDTH, WORDS, HEADS, HIDDEN = 32, 8, 2, 64


def write_gguf(path: Path) -> None:
    """A llama of one layer with a tokenizer of eight words."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(WORDS)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<end>", *"abcdef", "ab"])
    writer.add_token_types([3] + [1] * (WORDS - 1))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")
    square = ("attn_q", "attn_k", "attn_v", "attn_output")
    shapes = {f"blk.0.{name}.weight": (WIDTH, WIDTH) for name in square}
    shapes |= {f"blk.0.{name}.weight": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
    shapes |= {f"blk.0.{name}.weight": (HIDDEN, WIDTH) for name in ("ffn_gate", "ffn_up")}
    shapes |= {"blk.0.ffn_down.weight": (WIDTH, HIDDEN), "output_norm.weight": (WIDTH,)}
    shapes |= {"token_embd.weight": (WORDS, WIDTH), "output.weight": (WORDS, WIDTH)}
    source = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(name, source.standard_normal(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
