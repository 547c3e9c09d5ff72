"""Asks torch, on emulated cards, for the workspaces of convolutions, and writes their sizes as a table.

    .venv-cuda/bin/python -m benchmarks.convolutions

A row of ``tests/actor/convolutions/2.14.json`` is one convolution, and the bytes that torch takes and gives back
during it, forward and backward, on each card. The workspaces are those of the real cuDNN, which plans for a card that
is described to it. A test compares the dry run's rule with them. Needs a torch that is built for CUDA, whose version
names the file; takes about a minute, and computes nothing.
"""

import itertools

from benchmarks.asked import ROOT, answer_or, table_of

TABLES = ROOT / "tests" / "actor" / "convolutions"
CARDS = ("t4-16gb", "a100-80gb", "l40s-48gb", "h100-sxm-80gb", "h200-141gb", "b200-180gb")
COLUMNS = ("dtype", "layout", "input", "channels", "kernel", "stride", "padding")
# Input, output channels, kernel, stride and padding of convolutions in models of images and sound.
SHAPES = (
    ((16, 3, 224, 224), 768, 16, 16, 0),  # ViT
    ((8, 3, 224, 224), 768, 16, 16, 0),
    ((1, 3, 224, 224), 192, 16, 16, 0),
    ((32, 3, 224, 224), 768, 32, 32, 0),
    ((4, 3, 32, 32), 32, 8, 8, 0),
    ((4, 80, 3000), 768, 3, 1, 1),  # Whisper
    ((4, 768, 3000), 768, 3, 2, 1),
    ((8, 80, 3000), 384, 3, 1, 1),
    ((8, 384, 3000), 384, 3, 2, 1),
    ((2, 80, 200), 32, 3, 1, 1),
    ((2, 4, 64, 64), 320, 3, 1, 1),  # a denoiser
    ((2, 320, 64, 64), 320, 3, 1, 1),
    ((2, 320, 64, 64), 320, 3, 2, 1),
    ((2, 640, 32, 32), 640, 3, 1, 1),
    ((2, 1920, 16, 16), 1280, 3, 1, 1),
    ((2, 1280, 8, 8), 1280, 3, 1, 1),
    ((2, 320, 64, 64), 4, 3, 1, 1),
    ((2, 960, 64, 64), 320, 1, 1, 0),
    ((2, 320, 64, 64), 640, 1, 1, 0),
    ((2, 4, 16, 16), 32, 3, 1, 1),
    ((2, 32, 16, 16), 64, 3, 1, 1),
    ((1, 4, 64, 64), 512, 3, 1, 1),  # a decoder
    ((1, 512, 64, 64), 512, 3, 1, 1),
    ((1, 512, 128, 128), 512, 3, 1, 1),
    ((1, 512, 256, 256), 256, 3, 1, 1),
    ((1, 128, 512, 512), 128, 3, 1, 1),
    ((1, 128, 512, 512), 3, 3, 1, 1),
    ((2, 16, 128, 128), 1536, 2, 2, 0),  # a diffusion transformer
)


def questions() -> list[tuple]:
    """The questions, each a row of ``COLUMNS``; sound has no channels-last layout."""
    every = itertools.product(("float32", "float16", "bfloat16"), ("first", "last"), SHAPES)
    return [(dtype, layout, *shape) for dtype, layout, shape in every if layout == "first" or len(shape[0]) == 4]


def answers() -> list[tuple[int, int]]:
    """For each question, the bytes taken and given back within a convolution, and within its backward pass."""
    import torch

    def asked(dtype, layout, shape, channels, kernel, stride, padding):
        module = (torch.nn.Conv1d if len(shape) == 3 else torch.nn.Conv2d)(shape[1], channels, kernel, stride, padding)
        form = torch.channels_last if layout == "last" else torch.contiguous_format
        module = module.to("cuda", getattr(torch, dtype))
        module = module.to(memory_format=form) if layout == "last" else module
        value = torch.empty(shape, dtype=getattr(torch, dtype), device="cuda").contiguous(memory_format=form)
        value.requires_grad_()
        wanted = torch.empty_like(module(value))
        found = []
        with Recorded(found):
            result = module(value)
        with Recorded(found):
            kept = torch.ops.aten.convolution_backward(
                wanted, value, module.weight, None, [stride], [padding], [1], False, [0], 1, [True, True, False]
            )
        del result, kept
        return tuple(found)

    class Recorded:
        """Appends the most bytes that were in use at a time and given back within the block."""

        def __init__(self, found):
            self.found = found

        def __enter__(self):
            torch.cuda.memory._record_memory_history(max_entries=1000)

        def __exit__(self, *raised):
            events = torch.cuda.memory._snapshot()["device_traces"][0]
            torch.cuda.memory._record_memory_history(enabled=None)
            now = most = 0
            for number, event in enumerate(events):
                later = [other["action"] for other in events[number:] if other["addr"] == event["addr"]]
                if event["action"] == "alloc" and "free_requested" in later:
                    now += event["size"]
                    most = max(most, now)
                elif event["action"] == "free_requested":
                    now -= event["size"]
            self.found.append(most)

    return [asked(*row) for row in questions()]


def about() -> dict[str, int]:
    """The version of cuDNN that plans."""
    import torch

    return {"cudnn": torch.backends.cudnn.version()}


def main() -> None:
    """Write the table."""
    table_of(TABLES, __spec__.name, CARDS, questions(), {"columns": COLUMNS, "cards": CARDS})


if __name__ == "__main__":
    answer_or(main, answers, about)
