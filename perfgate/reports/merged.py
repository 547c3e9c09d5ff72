"""The report of ``perfgate merge``: the parts that were merged, and the verdicts of all shards together."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from perfgate.gate.acceptance import accepted_lines
from perfgate.gate.wording import counted_as, many, sentence, summarize
from perfgate.records.layers import spans
from perfgate.records.shards import Merged
from perfgate.reports.report import Report, Section
from perfgate.reports.run_report import counts
from perfgate.reports.summary import decided, some

BAD = ("regressed", "stale", "invalid")


def merged_report(merged: Merged, path: Path) -> Report:
    """The report of a merge.

    Args:
        merged: the result of merging.
        path: the merged file.
    """
    bad = [sentence(verdict) for verdict in merged.verdicts if counted_as(verdict) in BAD]
    failed = [f"{case} did not pass: {why}" for case, why in (merged.header.get("failed") or {}).items()]
    none = "No case was judged." if merged.cases else "The parts hold no case, so nothing was decided."
    judged = [counts(merged.verdicts), decided(merged.verdicts)] if merged.verdicts else [none]
    lines = [*told(merged), *some(failed), *accepted_lines(merged.verdicts), *some(bad), *judged]
    lines.append(f"Run file: {path}. Report: perfgate report {path}")
    rows = [verdict.to_json() for verdict in merged.verdicts]
    found = {**merged.header["shards"], "overspent": merged.overspent, "failed": merged.header.get("failed") or {}}
    document = {"verdicts": rows, "summary": summarize(merged.verdicts), "shards": found}
    return Report([Section(lines=lines)], pd.DataFrame(rows), document)


def told(merged: Merged) -> Iterator[str]:
    """Sentences about the parts: their number, the missing ones, and the cases that are in several."""
    runs = len(merged.header["shards"]["runs"])
    yield f"{many(runs, 'part')} of {many(merged.count, 'shard')}."
    if merged.missing:
        several, which = len(merged.missing) > 1, ", ".join(spans(merged.missing))
        yield (
            f"Missing: {'shards' if several else 'shard'} {which} of {merged.count}, so the cases of "
            f"{'these were' if several else 'this one were'} not judged; run "
            f"{'each' if several else 'it'} with --perf-shard {merged.missing[0]}/{merged.count}."
        )
    if merged.twice:
        cases = len(merged.twice)
        yield f"{cases} {'case is' if cases == 1 else 'cases are'} in several parts, and what ended last counts:"
        yield from (f"    {line}" for line in some(merged.twice))
    if merged.overspent > 1:
        yield (
            f"The chance of a false alarm was given out {merged.overspent:.3g} times, as these parts were not all "
            "measured with --perf-shard I/N; read their verdicts with that in mind."
        )
