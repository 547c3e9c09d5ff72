"""The settings and sizes of single operators.

Groups follow "Data Movement Is All You Need" (https://arxiv.org/abs/2007.00072): tensor contractions, statistical
normalizations, element-wise operators.
"""

from collections.abc import Mapping

from perfgate.shared.settings.common import PRECISION as PRECISION_OF_MODELS
from perfgate.shared.settings.declaration import Kind, Setting, Settings, choice, size


def gradients_in_place(settings: Settings) -> str:
    """An input that was overwritten has no gradient (https://docs.pytorch.org/docs/stable/notes/autograd.html)."""
    if settings.get("in_place") and settings.get("direction", "forward") != "forward":
        return f"in_place=True overwrites what direction={settings['direction']!r} needs; leave one of them out"
    return ""


# Operators with weights can compute the gradients of their inputs and those of their weights apart.
APART = choice(
    "direction",
    ("forward", "backward", "activation_gradient", "weight_gradient"),
    "what is computed: the result, all gradients, or those of inputs or of weights alone",
    unread="the direction shows in the operator calls and FLOPs",
)
DIRECTION = APART.of("forward", "backward")
PRECISION = PRECISION_OF_MODELS.but(doc="number type of tensors and arithmetic", option="")
FUSED = choice("fused", (True, False), "the library's operator, or the same written out in elementary ones")
IN_PLACE = choice("in_place", (False, True), "whether the result overwrites the input", conflicts=(gradients_in_place,))
SETTINGS = Kind("operator", (APART, PRECISION, FUSED, IN_PLACE))

SIZES = {
    "batch_size": "samples, or matrices of a stack",
    "rows": "rows of the input, or of the left matrix",
    "inner": "columns of the left matrix and rows of the right one",
    "columns": "columns of the input, or of the right matrix",
    "inputs": "width of a sample",
    "outputs": "width of a result",
    "heads": "attention heads",
    "sequence_length": "tokens of a sample",
    "head_width": "width of a head",
}
ROWS = {"rows": 4096, "columns": 1024}


def _operator(name: str, sizes: Mapping[str, int], *settings: Setting) -> tuple[str, Kind]:
    return name, Kind(name, (*(size(key, default, SIZES[key]) for key, default in sizes.items()), *settings))


CONTRACTIONS = dict(
    [
        _operator("matmul", {"rows": 512, "inner": 512, "columns": 512}, DIRECTION, PRECISION),
        _operator("batched_matmul", {"batch_size": 16, "rows": 256, "inner": 64, "columns": 256}, DIRECTION, PRECISION),
        _operator("linear", {"batch_size": 256, "inputs": 512, "outputs": 2048}, APART, PRECISION),
        _operator(
            "attention",
            {"batch_size": 2, "heads": 4, "sequence_length": 256, "head_width": 64},
            DIRECTION,
            PRECISION,
            FUSED,
        ),
    ]
)
NORMALIZATIONS = dict(
    [
        _operator("softmax", ROWS, DIRECTION, PRECISION, FUSED),
        _operator("layer_norm", ROWS, APART, PRECISION, FUSED),
        _operator("rms_norm", ROWS, APART, PRECISION, FUSED),
    ]
)
ELEMENTWISE = dict(
    [
        _operator("gelu", ROWS, DIRECTION, PRECISION, FUSED),
        _operator("dropout", ROWS, DIRECTION, PRECISION),
        # The gradient of a sum is passed on unchanged, so a residual has no backward pass of its own.
        _operator("residual", ROWS, PRECISION, IN_PLACE),
        _operator("bias", ROWS, DIRECTION, PRECISION, IN_PLACE),
    ]
)
OPERATORS: Mapping[str, Kind] = CONTRACTIONS | NORMALIZATIONS | ELEMENTWISE
