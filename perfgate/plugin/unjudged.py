"""Finds baselines that the run did not judge: of skipped cases, of cases that are gone, or of a renamed machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from perfgate.plugin.ends import SKIPPED, Ends
from perfgate.plugin.options import Options
from perfgate.plugin.target import Target
from perfgate.records.store import PORTABLE, open_root
from perfgate.shared.errors import UserError


@dataclass(frozen=True)
class Unjudged:
    """The cases that the run's verdicts leave out, by id.

    Attributes:
        skipped: cases that asked for no measurement because they were skipped, each with the reason.
        stored: the skipped cases that have baselines.
        gone: cases that the collected files no longer have; sorted.
        holders: other machines with baselines of cases that are new here: the kind of device and the number of these
            cases, machines of the same kind first.
    """

    skipped: Mapping[str, str] = field(default_factory=dict)
    stored: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()
    holders: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """One sentence about each kind of unjudged baseline."""
        told = "Not judged, though baselines are stored:"
        if self.skipped:
            first, why = next(iter(self.skipped.items()))
            which = told if self.stored.issuperset(self.skipped) else "Not judged:"
            yield f"{which} {counted(len(self.skipped), 'was', 'were')} skipped{named(len(self.skipped), first)}: {why}"
        if self.gone:
            several = counted(len(self.gone), "is", "are")
            yield (
                f"{told} {several} no longer there{named(len(self.gone), self.gone[0])}. If that is meant, remove the "
                "baselines with: perfgate baselines prune --yes"
            )

    def problem(self, ends: Ends, options: Options) -> str:
        """The reason why a run without failed cases must not count as passed; empty if it may."""
        why = ""
        if ends.ran or ends.results:
            from perfgate.reports.summary import problem_of

            why = problem_of(ends.results, len(ends.ran), ends.asked, options.update, self.holders)
        strict = options.strict and (self.stored or self.gone)
        return why or ("cases with baselines were not judged; see above" if strict else "")


def unjudged(
    config: pytest.Config, options: Options, target: Target, software: Mapping[str, str], ends: Ends
) -> Unjudged:
    """Find unjudged baselines at the end of a run. With a reference, every skipped case is unjudged.

    Args:
        config: pytest's configuration. If pytest collects only some files or cases, only cases in these can be gone.
        options: the run's options; a run that stores or sweeps power limits judges nothing.
        target: the device, with its baselines.
        software: the library versions.
        ends: the ends of all cases, and the collected ones. Without cases neither device nor files are looked up.
    """
    if not ends.collected or options.update or options.power_limits_w or config.option.collectonly:
        return Unjudged()
    try:
        with open_root(options.baselines, config.rootpath) as root:
            stored = stored_cases(root, options, target, software)
            others = {} if options.device == "none" or options.reference else held_elsewhere(root, target, ends.results)
    except UserError:  # a file is damaged, and each of its cases says so
        return Unjudged()
    cases = {node.removeprefix(f"{options.root}/"): end for node, end in ends.of.items()}
    skips = {case: end.why for case, end in cases.items() if end.result is None and end.why.startswith(SKIPPED)}
    unseen = {case: why.partition(": ")[2] for case, why in skips.items() if case in stored or options.reference}
    present = {node.removeprefix(f"{options.root}/") for node in ends.collected}
    missing = [] if narrowed(config) else sorted(stored - present)
    gone = tuple(case for case in missing if is_covered(case, config, options.root))
    return Unjudged(unseen, frozenset(unseen) & stored, gone, others)


def held_elsewhere(root: Path, target: Target, results: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """The other machines that have baselines of cases with new numbers; those with the same kind of device first.

    Raises:
        UserError: a file is damaged, or there is no device.
    """
    from perfgate.records.baseline_folder import holders
    from perfgate.shared.metrics import metric

    verdicts = [verdict for result in results for verdict in result["verdicts"]]
    new = {one["case"] for one in verdicts if one["verdict"] == "new" and not metric(one["metric"]).portable}
    found = holders(root, target.device.machine.name, new) if new else {}
    return dict(sorted(found.items(), key=lambda item: (item[1][0] != target.kind, -item[1][1])))


def stored_cases(root: Path, options: Options, target: Target, software: Mapping[str, str]) -> set[str]:
    """The cases with a baseline of this machine or of these versions, or else of the nearest versions.

    Raises:
        UserError: a file is damaged, or there is no device.
    """
    from perfgate.records.baseline_folder import cases_of
    from perfgate.records.portable import PortableStore, pair_of

    own = PortableStore(root, pair_of(software))
    held = own if own.folder.is_dir() else next(iter(own.nearest()), own)
    names = [f"{PORTABLE}/{held.pair}", *([] if options.device == "none" else [target.device.machine.name])]
    return {case for name in names for case in cases_of(root, name)}


def narrowed(config: pytest.Config) -> bool:
    """Whether pytest itself left out files or cases before Perfgate saw them."""
    return any(getattr(config.option, name, None) for name in ("lf", "ignore", "ignore_glob", "deselect"))


def is_covered(case: str, config: pytest.Config, root: str) -> bool:
    """Whether the run collected the whole file that a case was in, or the folder with that file."""
    file = config.rootpath / root / case.partition("::")[0]
    given = [config.invocation_params.dir / name for name in config.args if "::" not in name]
    return any(file.is_relative_to(path.resolve()) for path in given)


def counted(count: int, one: str, several: str) -> str:
    """A number of cases with its verb."""
    return f"1 case {one}" if count == 1 else f"{count} cases {several}"


def named(count: int, first: str) -> str:
    """The first of several cases, in parentheses."""
    return f" ({first}{', ...' if count > 1 else ''})"
