"""What other machines have stored for cases that are new on this one: a machine under a new name gates nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.plugin.options import Options
from perfgate.plugin.target import Target
from perfgate.shared.errors import UserError


def held_elsewhere(options: Options, target: Target, results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many of the cases with new numbers have baselines on other machines of the same kind, by machine.

    Args:
        options: of the run; one that stores, has a reference, or only runs dry, asks no machine's baselines.
        target: with this machine and its baselines.
        results: of all cases.
    """
    from perfgate.records.baseline_folder import holders
    from perfgate.shared.metrics import metric

    verdicts = [verdict for result in results for verdict in result["verdicts"]]
    new = {one["case"] for one in verdicts if one["verdict"] == "new" and not metric(one["metric"]).portable}
    if not new or options.reference or options.update or options.device == "none":
        return {}
    try:
        with target.store() as store:
            return holders(store.root, store.folder.name, target.kind, new)
    except UserError:  # what cannot be read of others is no fault of this run
        return {}
