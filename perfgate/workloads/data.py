"""Builds workloads that run only on the host: tokenizing texts, and reading data sets."""

from collections.abc import Sequence

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.settings import READING, TOKENIZING, Kind
from perfgate.shared.settings.data import READS, TOKENIZES
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.programs import workload_of


def tokenizing(what: str = "encode", *, seed: int = 0, **settings: Json) -> Workload:
    """Build a workload that turns texts into tokens and back; a step handles all texts once.

    Args:
        what: ``encode`` (a padded batch), ``decode``, ``convert`` (``convert_tokens_to_ids``), or ``chat`` (a chat
            template and its tokens).
        seed: the seed of the texts.
        settings: ``texts``, ``words``, ``tokenizer`` and ``added_tokens``; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown name or setting, or a value out of range.
    """
    return _workload(TOKENIZING, what, TOKENIZES, seed, settings)


def reading(what: str = "rows", *, seed: int = 0, **settings: Json) -> Workload:
    """Build a workload that reads a data set of ``datasets``; a step reads all of its rows once.

    Args:
        what: ``column`` (a column, value by value), ``rows`` (in a loop), ``indices`` (rows in random order),
            ``batches`` (slices), ``map``, ``transform`` (``with_transform``), ``stream`` (an iterable data set),
            ``collate`` (padded batches), ``pack`` (pieces of equal length), or ``loader`` (a ``DataLoader``).
        seed: the seed of the rows.
        settings: ``rows``, ``length``, ``format``, ``batched`` and ``processes``; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown name or setting, a value out of range, or settings that exclude each other.
    """
    return _workload(READING, what, READS, seed, settings)


def _workload(kind: Kind, what: str, known: Sequence[str], seed: int, settings: dict[str, Json]) -> Workload:
    if what not in known:
        raise UserError(f"{kind.name}: unknown work {what!r}{nearest(what, known)}")
    kind.check(settings)
    kind.check_together(settings, what=what)
    fixed = {"what": what, "seed": seed}
    vanilla = workload_of(kind.name, {**fixed, **kind.sizes})
    params = {**fixed, **kind.params(settings)}
    return workload_of(kind.name, params, model=what, setting=settings, vanilla=vanilla.sha256)
