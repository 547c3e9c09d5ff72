"""Translation: a transformer compared with its predecessor, a recurrent network with attention. In training a
transformer processes all words of a sample at once, and a recurrent network one word after the other. In return, the
transformer's attention among all words grows with the square of the length.

From https://huggingface.co/docs/transformers/tasks/translation (``Seq2SeqTrainer``) and
https://docs.pytorch.org/tutorials/intermediate/seq2seq_translation_tutorial.html; both models have the same width and
vocabulary here. The pairs of English and French sentences come from an installed language pack. Samples of equal length
are random.

On a CPU, time depends on the arithmetic and on the number of operator calls, so only long samples show the difference.
A GPU is not busy with the small operators of the recurrent network, which is therefore slower at any length. cuDNN runs
the encoder on a GPU in few calls, but not the decoder.
"""

import pytest

from fixtures.models import models
from fixtures.translation import pairs, recurrent_training

T5 = models()["t5-quick"]
TRAINER = "seq2seq-trainer"
LENGTHS = [32, *(pytest.param(length, marks=pytest.mark.perf(tier="full")) for length in (8, 128))]
BATCH = 4


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("sequence_length", LENGTHS)
def test_transformer(perf, training, sequence_length):
    perf(training(T5, loop=TRAINER, batch_size=BATCH, sequence_length=sequence_length))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("sequence_length", LENGTHS)
def test_recurrent(perf, sequence_length):
    perf(recurrent_training(batch_size=BATCH, sequence_length=sequence_length))


@pytest.mark.perf(tier="quick")
def test_transformer_on_pairs(perf, training):
    perf(training(T5, loop=TRAINER, data=pairs(), batch_size=16, sequence_length=32))


@pytest.mark.perf(tier="quick")
def test_recurrent_on_pairs(perf):
    perf(recurrent_training(data=pairs(), batch_size=16, sequence_length=32))


@pytest.mark.perf(tier="quick")
def test_recurrent_network_goes_word_by_word(effect):
    effect(
        recurrent_training(batch_size=BATCH, sequence_length=8),
        recurrent_training(batch_size=BATCH, sequence_length=32),
        operator_calls="> 3x and < 4.5x",
    )


@pytest.mark.perf(tier="quick")
def test_transformer_goes_through_all_words_at_once(effect, training):
    effect(
        training(T5, loop=TRAINER, batch_size=BATCH, sequence_length=8),
        training(T5, loop=TRAINER, batch_size=BATCH, sequence_length=32),
        operator_calls="< 1.01x",
        flops="> 3x",
    )


@pytest.mark.perf(tier="quick")
def test_transformer_trains_faster_on_long_samples(effect, training):
    effect(
        recurrent_training(batch_size=BATCH, sequence_length=96),
        training(T5, loop=TRAINER, batch_size=BATCH, sequence_length=96),
        operator_calls="< 0.2x",
        step_time_s={"cpu": "< 0.8x", "cuda": "< 0.5x"},
    )
