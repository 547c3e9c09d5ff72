"""Makes tables from run files: the verdicts, and the settings of each technique."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perfgate.gate.wording import can_see, counted_as, moved, percent, together
from perfgate.records.launch import medians
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric
from perfgate.shared.metrics import METRICS, metric

if TYPE_CHECKING:
    import pandas as pd  # takes half a second, which the page of a run should not pay

ORDER = ("regressed", "stale", "invalid", "inconclusive", "new", "improved", "pass")
ANYWHERE = ""
LONG_VALUE = 40  # the most characters of a setting's value
SHOWN = ("verdict", "change", "low", "high", "smallest_detectable", "accepted")


def verdict_table(verdicts: Sequence[Verdict]) -> "pd.DataFrame":
    """A row for each verdict, the worst first, formatted for people."""
    import pandas as pd

    rows = [
        {
            "verdict": counted_as(verdict),
            "case": verdict.case,
            "metric": verdict.metric,
            "now": shown(verdict.metric, verdict.candidate),
            "before": shown(verdict.metric, verdict.reference),
            "change": moved(verdict) or None,
            "expected": verdict.expected or None,
            "interval": bounds(verdict),
            "could see": None if verdict.smallest_detectable is None else can_see(verdict.smallest_detectable),
            "why": verdict.why or None,
            "accepted": verdict.accepted or None,
        }
        for verdict in sorted(together(verdicts), key=lambda verdict: ORDER.index(verdict.verdict))
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def setting_rows(run: RunFile) -> list[dict[str, Any]]:
    """A mapping for each case: technique, model, setting, metrics in their units, and ratios to vanilla.

    Vanilla is the workload with every setting at its default. It is searched in the same test file first, then in the
    whole run.
    """
    found = {case: medians(launches) for case, launches in run.by_case().items()}
    lines = workload_lines(run)
    measured: dict[tuple[str, str], Mapping[str, float]] = {}
    for case, line in lines.items():
        if found.get(case):
            for place in (file_of(case), ANYWHERE):
                measured.setdefault((place, line["workload"]), found[case])
    rows = []
    fixed = unvaried(lines.values())
    for case, line in lines.items():
        values = found.get(case, {})
        identity = line["vanilla"] or ""
        vanilla = measured.get((file_of(case), identity)) or measured.get((ANYWHERE, identity), {})
        about = {"technique": line["technique"], "model": line["model"] or own_program(line)}
        row = {**about, "case": case, "setting": words(varying(line, fixed))}
        ratios = {
            f"{name}_to_vanilla": values[name] / vanilla[name]
            for name in ("step_time_s", "samples_per_s", "peak_memory_bytes")
            if name in values and name in vanilla
        }
        rows.append({**row, "vanilla": line["workload"] == line["vanilla"], **values, **ratios})
    return rows


def workload_lines(run: RunFile) -> dict[str, Mapping[str, Any]]:
    """The ``workload`` line of each case. If a line names no case, the case's launches tell which line is its."""
    lines = {line["case"]: line for line in run.workloads.values() if line.get("case")}
    for launch in run.launches:
        if launch.case not in lines and launch.workload in run.workloads:
            lines[launch.case] = run.workloads[launch.workload]
    return lines


def technique_tables(run: RunFile) -> "dict[str, pd.DataFrame]":
    """A table for each technique, formatted for people, in the order of the run file."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in setting_rows(run):
        groups.setdefault(group_of(row), []).append(row)
    return {name: technique_table(rows) for name, rows in groups.items()}


def group_of(row: Mapping[str, Any]) -> str:
    """The folder and the technique of a row: ``training / batch_size``."""
    folder = file_of(str(row["case"])).rpartition("/")[0]
    return f"{folder} / {row['technique']}" if folder else str(row["technique"])


def technique_table(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """A technique's table: time, throughput and memory of each setting, and ratios to vanilla.

    Without times it has the metrics of dry runs. The first column also names the test if there are several.
    """
    import pandas as pd

    timed = any("step_time_s" in row for row in rows)
    columns = [what for what in METRICS.values() if what.column and not (what.dry and timed)]
    tests = {test_of(str(row["case"])) for row in rows}
    table: list[dict[str, Any]] = []
    before = ""
    for row in sorted(rows, key=lambda row: (test_of(str(row["case"])), str(row["model"]))):
        name = test_of(str(row["case"]))
        test, before = f"{name}:" if name != before and len(tests) > 1 else "", name
        setting = f"{row['setting']}{' (vanilla)' if row['vanilla'] else ''}"
        cells = {
            "model, setting": "\n".join(filter(None, [test, ": ".join(filter(None, [row["model"], setting]))])),
            **{what.column: cell(what, row) for what in columns},
            "time ratio": ratio(row.get("step_time_s_to_vanilla")),
            "samples/s ratio": ratio(row.get("samples_per_s_to_vanilla")),
            "memory ratio": ratio(row.get("peak_memory_bytes_to_vanilla")),
        }
        table.append(cells)
    return pd.DataFrame(table).dropna(axis="columns", how="all")


def cell(what: Metric, row: Mapping[str, Any]) -> str | None:
    """A metric's cell in a technique's table. A rate with a peak is shown only if its share of the peak is known."""
    if what.rate and what.rate.share:
        part = row.get(what.rate.share)
        return None if part is None else f"{what.show(row[what.name])}, {share(part, '')} of peak"
    return number(row.get(what.name)) if what.unit == "1/s" else shown(what.name, row.get(what.name))


def long_table(run: RunFile) -> "pd.DataFrame":
    """A row for each case and metric in plain numbers, as ``--format csv`` writes it."""
    import pandas as pd

    keys = ("technique", "model", "case", "setting", "vanilla")
    decided = {(verdict.case, verdict.metric): verdict.to_json() for verdict in run.verdicts}
    rows = []
    for row in setting_rows(run):
        for name in row:
            if name not in keys:
                verdict = decided.get((row["case"], name), {})
                more = {key: verdict.get(key) for key in SHOWN}
                head = {key: row[key] for key in keys[:-1]}
                rows.append({**head, "metric": name, "unit": metric(name).unit, "value": row[name], **more})
    return pd.DataFrame(rows)


def own_program(line: Mapping[str, Any]) -> str:
    """The id of a user's own program, which has no model; empty for a program of Perfgate."""
    name = str((line.get("spec") or {}).get("program", ""))
    return name if ":" in name else ""


def shown_setting(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a case; for a user's own program, which has none, its parameters."""
    found: Mapping[str, Any] = line["setting"] or (line["spec"]["params"] if own_program(line) else {})
    return found


def unvaried(lines: Iterable[Mapping[str, Any]]) -> dict[str, set[tuple[str, str]]]:
    """For each of a user's own programs with several cases, the parameters that are equal in all of them."""
    found: dict[str, list[set[tuple[str, str]]]] = {}
    for line in lines:
        if program := own_program(line):
            found.setdefault(program, []).append({(name, str(value)) for name, value in shown_setting(line).items()})
    return {program: set.intersection(*cases) for program, cases in found.items() if len(cases) > 1}


def varying(line: Mapping[str, Any], fixed: Mapping[str, set[tuple[str, str]]]) -> Mapping[str, Any]:
    """The settings of a case; for a user's own program, the parameters that distinguish its cases."""
    same = fixed.get(own_program(line), set())
    return {name: value for name, value in shown_setting(line).items() if (name, str(value)) not in same}


def words(setting: Mapping[str, Any]) -> str:
    """The settings that are not at their default as text; long values are cut."""
    return ", ".join(f"{name}={in_a_word(value)}" for name, value in setting.items()) or "defaults"


def in_a_word(value: Any) -> str:
    """A setting's value as text of at most forty characters."""
    if isinstance(value, Mapping) and value:
        first = next((found for found in value.values() if isinstance(found, str)), "")
        return f"{first or '{'}..." if len(str(value)) > LONG_VALUE else str(value)
    text = str(value)
    return text if len(text) <= LONG_VALUE else f"{text[: LONG_VALUE - 3]}..."


def file_of(case: str) -> str:
    """The test file of a case's id."""
    return case.partition("::")[0]


def test_of(case: str) -> str:
    """The test function of a case's id."""
    return case.rpartition("::")[2].partition("[")[0]


def shown(name: str, value: float | None) -> str | None:
    """A metric's value as text with its unit. ``None`` stays ``None``, so that empty columns can be dropped."""
    return None if value is None else metric(name).show(value)


def number(value: float | None) -> str | None:
    """A number as text with four digits and no exponent."""
    return None if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def ratio(value: float | None) -> str | None:
    """A ratio as text with two decimals."""
    return None if value is None else f"{value:.2f}"


def share(value: float | None, sign: str = "+") -> str | None:
    """A share as text in percent."""
    return None if value is None else percent(value, sign)


def bounds(verdict: Verdict) -> str | None:
    """A verdict's interval as text in percent; ``None`` if its ends are equal or unknown."""
    if verdict.low is None or verdict.high is None or verdict.low == verdict.high:
        return None
    return f"{percent(verdict.low)} to {percent(verdict.high)}"
