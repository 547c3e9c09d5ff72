"""Tokenizing: texts become tokens before anything else can begin, on the host and usually in Python's main thread.

From https://huggingface.co/docs/transformers/main_classes/tokenizer and
https://huggingface.co/docs/transformers/chat_templating. A fast tokenizer works in Rust, and Python only makes the
lists; a slow one is written in Python, and pays for each token. Added tokens (of a language, of image patches) are
searched in every text. Work that a library does for each token shows as Python's calls, exactly and on any machine:
transformers 5.0.0 made a table of all added tokens for each of them, which took over 300 times as long with 3,000 of
them.

The tokenizers are made here, from random words, so nothing is downloaded. No device takes part.
"""

import pytest

pytestmark = pytest.mark.perf(tolerance={"peak_host_bytes": 0.05})  # some hundred kilobytes in all
QUICK = pytest.mark.perf(tier="quick")
SLOW = {"tokenizer": "slow", "texts": 4, "words": 16}


@pytest.mark.parametrize("what", ["encode", pytest.param("decode", marks=QUICK), pytest.param("chat", marks=QUICK)])
def test_fast_tokenizer(perf, tokenizing, what):
    perf(tokenizing(what))


@QUICK
@pytest.mark.parametrize("what", ["encode", "decode", "chat"])
def test_slow_tokenizer(perf, tokenizing, what):
    perf(tokenizing(what, **SLOW))


def test_convert_tokens_to_ids_with_added_tokens(perf, tokenizing):
    perf(tokenizing("convert", added_tokens=3000, **SLOW))


@QUICK
def test_fast_tokenizer_with_added_tokens(perf, tokenizing):
    perf(tokenizing("encode", added_tokens=3000))


@QUICK
def test_a_fast_tokenizer_is_faster(effect, tokenizing):
    """The slow one knows only bytes and makes four times as many tokens; Rust wins by more than that."""
    effect(
        tokenizing("encode", tokenizer="slow"),
        tokenizing("encode"),
        step_time_s="< 0.8x",
        python_calls="< 0.2x",
    )


@QUICK
def test_added_tokens_cost_no_call_of_python(effect, tokenizing):
    effect(
        tokenizing("convert", **SLOW),
        tokenizing("convert", added_tokens=3000, **SLOW),
        python_calls="< 1.01x",
        step_time_s="< 1.5x",
    )
