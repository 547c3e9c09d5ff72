"""The topics of the tour in their order; ``docs/lecture.md`` is made from them too."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from perfgate.reports.lecture.topic import Column, Topic
from perfgate.shared.device_kinds import CAPABLE, DEVICE_KINDS
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.models.model import Model
from perfgate.workloads.models.shapes import read_shapes
from perfgate.workloads.operators import operator
from perfgate.workloads.tasks import generation, image_generation, training

SHAPES = Path(__file__).parent / "shapes.json"
RECURRENT = "perfgate.actor.programs.recurrent:RecurrentTraining"
STEP, SAMPLES = Column("step", "step_time_s"), Column("samples a second", "samples_per_s")
PEAK, CALLS = Column("peak memory", "peak_memory_bytes"), Column("operator calls", "operator_calls")
FLOPS, MOVED = Column("FLOPs", "flops"), Column("bytes moved", "moved_bytes")
INTENSITY = Column("FLOPs a byte", "arithmetic_intensity")
GPU_PEAK = Column("peak on a GPU, predicted", DEVICE_KINDS[CAPABLE].predicted_peak)
FIRST, NEXT = Column("first token", "time_to_first_token_s"), Column("each further token", "time_per_output_token_s")
PARTS = tuple(
    Column(f"{part.replace('_', ' ')}, a parameter", f"{part}_bytes", "parameters")
    for part in ("weights", "gradients", "optimizer_state", "activations")
)


def find_topics(names: list[str]) -> list[Topic]:
    """The topics with these names, in the tour's order; without names all topics.

    Raises:
        UserError: no topic has one of the names.
    """
    known = {topic.name: topic for topic in topics()}
    if unknown := next((name for name in names if name not in known), None):
        raise UserError(f"there is no topic {unknown!r}{nearest(unknown, known)}")
    return [topic for name, topic in known.items() if not names or name in names]


@cache
def topics() -> tuple[Topic, ...]:
    """All topics."""
    small, shapes = read_shapes(SHAPES), read_shapes()
    gpt2, t5, picture = (small[name] for name in ("gpt2-small", "t5-small", "stable-diffusion-small"))
    bert = shapes["bert-large-uncased"]
    return (
        Topic(
            "batch-size",
            "Batch size",
            "A training step reads all weights, however many samples it has, and Python calls each operator once. "
            "How much does a second sample cost?",
            {samples(size): training(gpt2, batch_size=size) for size in (1, 2, 4, 8)},
            (STEP, SAMPLES, PEAK, CALLS),
            "Samples a second grow, though less than the batch does; operator calls hardly change; from two samples on "
            "the peak grows by about the same amount with each.",
            "What a step costs once, its Python calls and the optimizer's pass over the weights, is shared by more "
            "samples, until the arithmetic takes the time. Weights, gradients and optimizer state are there once; "
            "activations are kept for each sample. On a GPU the rate levels off far later.",
            "training/test_batch_size.py",
            drawn=("samples a second",),
        ),
        Topic(
            "gradient-accumulation",
            "Gradient accumulation",
            "A batch that does not fit can be taken in pieces: gradients are added up, and the optimizer steps once. "
            "All rows here train on 8 samples a step.",
            {
                f"{8 // pieces} x {pieces}": training(gpt2, batch_size=8 // pieces, gradient_accumulation=pieces)
                for pieces in (1, 2, 8)
            },
            (STEP, PEAK, FLOPS, CALLS),
            "The peak falls with smaller pieces, the work in FLOPs stays the same, and calls and time grow.",
            "Only the activations of one piece are kept at a time. The arithmetic is the same, but every piece calls "
            "all operators again on less work, as small batches do in the topic before.",
            "training/test_gradient_accumulation.py",
            drawn=("peak memory",),
        ),
        Topic(
            "operator-groups",
            "The three groups of operators",
            "A transformer consists of tensor contractions (matrix products), statistical normalizations (softmax, "
            "layer norm) and element-wise operators (activations, dropout, residual connections).",
            {
                "contraction: linear": operator("linear"),
                "normalization: softmax": operator("softmax"),
                "normalization: layer norm": operator("layer_norm"),
                "element-wise: GELU": operator("gelu"),
                "element-wise: residual": operator("residual"),
            },
            (STEP, FLOPS, MOVED, INTENSITY, Column("FLOP/s", "flops_per_s")),
            "The contraction does many FLOPs with each byte that it reads, the others at most a few; so it reaches "
            "many times their FLOP/s.",
            "A matrix product uses each number many times, so arithmetic limits it. The other groups read a number, "
            "do little with it and write it back, so memory limits them: they have a small share of the FLOPs and a "
            "large share of the time. That is why fused kernels, which write less back, pay off there.",
            "operators/test_tensor_contractions.py",
            drawn=("FLOPs a byte",),
        ),
        Topic(
            "memory-anatomy",
            "The anatomy of memory",
            "Where does the memory of a training step go, in bytes for each of the model's parameters? The model is "
            "bert-large with 4 samples of 512 tokens, run dry: no weights, no GPU and hardly any memory are needed.",
            {
                "AdamW": of_bert(bert, batch_size=4),
                "Adafactor": of_bert(bert, batch_size=4, optimizer="adafactor"),
                "SGD": of_bert(bert, batch_size=4, optimizer="sgd"),
                "AdamW, bf16 mixed": of_bert(bert, batch_size=4, precision="bf16-amp"),
            },
            (*PARTS, GPU_PEAK),
            "4 bytes of weights, 4 of gradients and 8 of AdamW's state for each parameter; Adafactor and SGD keep "
            "next to none; mixed precision leaves all three as they are. Each part is shown at its own highest.",
            "A number in 32 bits takes 4 bytes. AdamW keeps two of them, the averages of the gradient and of its "
            "square; Adafactor keeps sums of rows and columns. Mixed precision computes in 16 bits from weights in 32. "
            "Activations follow the batch and not the parameters. The parts are not at their highest at the same time: "
            "gradients come as activations go, so the peak is less than the sum.",
            "training/test_memory_anatomy.py",
            exact=True,
            drawn=tuple(column.head for column in PARTS),
        ),
        Topic(
            "gpu-settings",
            "The GPU tutorial's settings, one by one and all together",
            "Hugging Face's tutorial trains bert-large on one GPU and turns one setting after the other. These are the "
            "peaks that a GPU would have, from dry runs (docs/verified/tutorials.md holds them against its table).",
            tutorial_settings(bert),
            (GPU_PEAK, FLOPS, CALLS),
            "With AdamW no setting brings the peak below a floor; Adafactor does, and all together need the least. "
            "Checkpointing adds about a third to the FLOPs.",
            "Accumulation keeps the activations of one sample in place of four; checkpointing keeps only the inputs of "
            "each layer and computes the rest again, a second forward pass. Then the optimizer's own step is the peak: "
            "16 bytes a parameter for weights, gradients and two averages, and 4 for a temporary copy. Only one "
            "that keeps less goes below it. With larger batches activations count for more, and so do these settings.",
            "training/test_activation_checkpointing.py",
            exact=True,
            drawn=("peak on a GPU, predicted",),
        ),
        Topic(
            "back-propagation",
            "Back-propagation: forward, backward and optimizer apart",
            "A training step has three phases. Which of them takes the time?",
            {samples(size): training(gpt2, loop="accelerate", batch_size=size) for size in (1, 8)},
            (
                STEP,
                Column("forward", "forward_s"),
                Column("backward", "backward_s"),
                Column("optimizer", "optimizer_s"),
            ),
            "In this small model backward takes about as long as forward, although it has twice the products; the "
            "optimizer takes the same time for any batch.",
            "Each matrix product of the forward pass has two in the backward pass, one for the gradient of its input "
            "and one for that of its weights, so in a large model it takes about twice as long. In a small one the "
            "rest counts as well: Python's calls and dropout's random numbers belong to the forward pass alone. The "
            "optimizer works on the weights alone, so its share shrinks as the batch grows. The three do not add up to "
            "the step: fetching a batch and the loop's own Python are in none of them, and phases are timed in steps "
            "of their own.",
            "training/test_batch_size.py",
            drawn=("forward", "backward", "optimizer"),
        ),
        Topic(
            "translation",
            "Translation by a recurrent network and by a transformer",
            "A recurrent network reads and writes word after word; a transformer sees all words of a sentence at once. "
            "Both are trained here on 8 sentences, of 16 and of 64 tokens.",
            {
                f"{name}, {length} tokens": workload
                for length in (16, 64)
                for name, workload in (
                    ("recurrent", recurrent(batch_size=8, sequence_length=length)),
                    ("transformer", training(t5, batch_size=8, sequence_length=length)),
                )
            },
            (STEP, FLOPS, CALLS),
            "With sentences four times as long the recurrent network calls about four times the operators, and the "
            "transformer as many as before.",
            "Each word of the recurrent network waits for the state after the word before it, so its work is cut into "
            "many small calls, one after the other. The transformer does all positions in the same matrix products, "
            "which is what a GPU needs. On a CPU the recurrent network is no slower here: it does a third of the "
            "arithmetic, and small calls keep a CPU busy, too.",
            "training/test_translation.py",
            drawn=("operator calls",),
        ),
        Topic(
            "fully-connected",
            "Fully connected layers and multiples of 8",
            "A fully connected layer is one matrix product, and its backward pass two more. NVIDIA's guide pads sizes "
            "to multiples of 8 elements, so that tensor cores can be used.",
            {
                "forward, 2048 outputs": operator("linear"),
                "gradient of inputs": operator("linear", direction="activation_gradient"),
                "gradient of weights": operator("linear", direction="weight_gradient"),
                "forward, 2047 outputs": operator("linear", outputs=2047),
                "forward, 1 sample": operator("linear", batch_size=1),
            },
            (STEP, FLOPS, MOVED, INTENSITY),
            "All three directions have the same FLOPs. One sample has 1/256 of the FLOPs and still moves most of the "
            "bytes. 2047 outputs are hardly less work than 2048.",
            "With one sample the weights are read for a single use each, so a larger batch is nearly free until "
            "arithmetic limits. Tensor cores take blocks of 16 bytes: on a GPU in 16 bits, 2047 outputs are slower "
            "than 2048 although they are less work. A CPU in 32 bits hardly cares.",
            "operators/test_fully_connected.py",
            drawn=("FLOPs a byte",),
        ),
        Topic(
            "generation",
            "Generation",
            "A model that writes reads its prompt at once (prefill), then adds one token after the other (decode), and "
            "keeps the keys and values of what it has read.",
            {
                "32 tokens of prompt": generation(gpt2, prompt_length=32),
                "256 tokens of prompt": generation(gpt2, prompt_length=256),
                "256, without a cache": generation(gpt2, prompt_length=256, cache="none"),
                "256, 8 prompts": generation(gpt2, prompt_length=256, batch_size=8),
            },
            (STEP, FIRST, NEXT, FLOPS, PEAK),
            "A longer prompt delays the first token and hardly the others; without a cache each further token costs "
            "nearly as much as the first.",
            "Prefill is matrix products over the whole prompt. A further token is a single row through the same "
            "weights, so reading these takes the time, and eight prompts at once read them once. Without kept keys and "
            "values the whole text is read again for each token.",
            "inference/test_kv_cache.py",
            drawn=("first token", "each further token"),
        ),
        Topic(
            "image-generation",
            "Image generation",
            "Noise becomes a picture in steps: each is one pass of the denoiser. A decoder makes pixels at the end.",
            {
                "4 steps": image_generation(picture),
                "8 steps": image_generation(picture, denoising_steps=8),
                "4 steps, guided": image_generation(picture, guidance=True),
            },
            (
                STEP,
                Column("denoiser calls", "denoiser_calls"),
                Column("images denoised", "denoised_samples"),
                Column("a denoising step", "denoising_step_s"),
                Column("decoder", "vae_s"),
            ),
            "Twice the steps call the denoiser twice as often; guidance calls it as often with twice the images.",
            "The calls are the scheduler's timesteps. Guidance shows each image with its prompt and without, and moves "
            "away from the latter. Text encoder and decoder work once a picture, so they matter only with few steps.",
            "inference/test_image_generation.py",
            package="diffusers",
            drawn=("images denoised",),
        ),
    )


def tutorial_settings(bert: Model) -> dict[str, Workload]:
    """The settings of Hugging Face's tutorial on training on one GPU, in the order of its tables."""
    accumulated: Mapping[str, Json] = {"batch_size": 1, "gradient_accumulation": 4}
    checkpointed: Mapping[str, Json] = {**accumulated, "activation_checkpointing": True}
    return {
        "batch of 4": of_bert(bert, batch_size=4),
        "accumulation, 1 x 4": of_bert(bert, **accumulated),
        "+ checkpointing": of_bert(bert, **checkpointed),
        "mixed precision alone": of_bert(bert, batch_size=4, precision="fp16-amp"),
        "accumulation + checkpointing + mixed": of_bert(bert, **checkpointed, precision="fp16-amp"),
        "Adafactor alone": of_bert(bert, batch_size=4, optimizer="adafactor"),
        "all of them": of_bert(bert, **checkpointed, precision="fp16-amp", optimizer="adafactor"),
    }


def of_bert(bert: Model, **settings: Json) -> Workload:
    """A training step with samples of 512 tokens, as in the tutorial."""
    return training(bert, sequence_length=512, **settings)


def samples(count: int) -> str:
    """The name of a row with a batch of this size."""
    return f"{count} {'sample' if count == 1 else 'samples'}"


def recurrent(**settings: Json) -> Workload:
    """A training step of a recurrent network with the width and the vocabulary of ``t5-small``."""
    return Workload(RECURRENT, {"vocabulary": 1024, "width": 128, **settings}, "recurrent", settings)
