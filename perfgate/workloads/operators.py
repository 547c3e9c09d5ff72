"""Operators by themselves: which there are, their sizes and settings, and the workload that runs one.

Groups follow "Data Movement Is All You Need" (https://arxiv.org/abs/2007.00072): tensor contractions, statistical
normalizations, element-wise operators.
"""

from collections.abc import Mapping

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.conflicts import check_possible
from perfgate.workloads.programs import workload_of
from perfgate.workloads.settings import PRECISIONS, SettingSpec

# One that has weights can compute the gradients of its inputs and of its weights apart.
DIRECTION: dict[str, tuple[Json, ...]] = {"direction": ("forward", "backward")}
APART: dict[str, tuple[Json, ...]] = {
    "direction": ("forward", "backward", "activation_gradient", "weight_gradient"),
}
PRECISION: dict[str, tuple[Json, ...]] = {"precision": PRECISIONS}
FUSED: dict[str, tuple[Json, ...]] = {"fused": (True, False)}
IN_PLACE: dict[str, tuple[Json, ...]] = {"in_place": (False, True)}
ROWS: dict[str, Json] = {"rows": 4096, "columns": 1024}
PRODUCT: dict[str, Json] = {"rows": 512, "inner": 512, "columns": 512}
LAYER: dict[str, Json] = {"batch_size": 256, "inputs": 512, "outputs": 2048}
HEADS: dict[str, Json] = {"batch_size": 2, "heads": 4, "sequence_length": 256, "head_width": 64}

CONTRACTIONS = {
    "matmul": SettingSpec(PRODUCT, DIRECTION | PRECISION),
    "batched_matmul": SettingSpec({"batch_size": 16, "rows": 256, "inner": 64, "columns": 256}, DIRECTION | PRECISION),
    "linear": SettingSpec(LAYER, APART | PRECISION),
    "attention": SettingSpec(HEADS, DIRECTION | PRECISION | FUSED),
}
NORMALIZATIONS = {
    "softmax": SettingSpec(ROWS, DIRECTION | PRECISION | FUSED),
    "layer_norm": SettingSpec(ROWS, APART | PRECISION | FUSED),
    "rms_norm": SettingSpec(ROWS, APART | PRECISION | FUSED),
}
ELEMENTWISE = {
    "gelu": SettingSpec(ROWS, DIRECTION | PRECISION | FUSED),
    "dropout": SettingSpec(ROWS, DIRECTION | PRECISION),
    # The gradient of a sum is handed on as it is, so of a residual there is no backward pass to take.
    "residual": SettingSpec(ROWS, PRECISION | IN_PLACE),
    "bias": SettingSpec(ROWS, DIRECTION | PRECISION | IN_PLACE),
}
OPERATORS: Mapping[str, SettingSpec] = CONTRACTIONS | NORMALIZATIONS | ELEMENTWISE


def operator(name: str, *, seed: int = 0, **settings: Json) -> Workload:
    """Build a workload that calls one operator on the same tensors; a step is one call of it, or of its gradients.

    Args:
        name: ``matmul``, ``batched_matmul``, ``linear``, ``attention``; ``softmax``, ``layer_norm``, ``rms_norm``;
            ``gelu``, ``dropout``, ``residual``, ``bias``.
        seed: of the tensors.
        settings: the operator's sizes (``rows``, ``columns``, ...: ``OPERATORS``); ``direction`` (``forward``;
            ``backward`` for all gradients; where there are weights also ``activation_gradient`` and
            ``weight_gradient`` alone); ``precision`` of tensors and arithmetic; ``fused=False`` for one that is written
            out in elementary operators, in place of the library's; ``in_place=True`` to overwrite the input.

    Raises:
        UserError: an unknown operator or setting, a value out of range, or settings that exclude each other.
    """
    if name not in OPERATORS:
        raise UserError(f"operator: unknown operator {name!r}{nearest(name, OPERATORS)}")
    known = OPERATORS[name]
    known.check(settings)
    check_possible(settings)
    sizes = {size: settings.get(size, default) for size, default in known.numbers.items()}
    chosen = {key: value for key, value in known.beyond_default(settings).items() if key not in sizes}
    fixed = {"operator": name, "seed": seed}
    vanilla = workload_of("operator", {**fixed, "sizes": dict(known.numbers)})
    params = {**fixed, "sizes": sizes, **chosen}
    return workload_of("operator", params, model=name, setting=settings, vanilla=vanilla.sha256)
