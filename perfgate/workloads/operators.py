"""Builds workloads that run one operator by itself, from its name and settings."""

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.settings import OPERATORS
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.programs import workload_of


def operator(name: str, *, seed: int = 0, **settings: Json) -> Workload:
    """Build a workload that calls one operator on the same tensors again and again.

    A step is one call of the operator or, depending on ``direction``, one computation of its gradients.

    Args:
        name: ``matmul``, ``batched_matmul``, ``linear``, ``attention``; ``softmax``, ``layer_norm``, ``rms_norm``;
            ``gelu``, ``dropout``, ``residual``, ``bias``.
        seed: the seed of the tensors' values.
        settings: the operator's sizes (``rows``, ``columns``, ...), ``direction``, ``precision``, ``fused`` and
            ``in_place``; ``docs/settings.md`` lists them for each operator.

    Raises:
        UserError: an unknown operator or setting, a value out of range, or settings that exclude each other.
    """
    if name not in OPERATORS:
        raise UserError(f"operator: unknown operator {name!r}{nearest(name, OPERATORS)}")
    kind = OPERATORS[name]
    kind.check(settings)
    kind.check_together(settings)
    params = kind.params(settings)
    sizes = {size: params.pop(size) for size in kind.sizes}
    fixed = {"operator": name, "seed": seed}
    vanilla = workload_of("operator", {**fixed, "sizes": kind.sizes})
    return workload_of(
        "operator", {**fixed, "sizes": sizes, **params}, model=name, setting=settings, vanilla=vanilla.sha256
    )
