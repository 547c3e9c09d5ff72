"""The table of points as a parquet file: its columns, their order, and its metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfgate.shared.metric import FIRST_WAY
from perfgate.shared.parsing import whole

# The column ``metric`` also has the way of measuring, if that is not the first one: ``python_calls@2``. Files of
# earlier versions, which know no ways, are read like any other.
COLUMNS = "case_id, metric, value, yardsticks, launches, accepted, run_id, created, machine, commit_id, software"
RUNS = "perfgate.runs"  # the key of the metadata with a file's runs
INDEX = "perfgate.index"  # the key of the metadata with a merged file's index


def schema(runs: Sequence[str]) -> Any:
    """The columns of a file, with its runs in the metadata."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    fields = {
        "case_id": text, "metric": text, "value": pa.float64(), "yardsticks": pa.float64(), "launches": pa.int32(),
        "accepted": text, "run_id": text, "created": pa.timestamp("us", tz="UTC"), "machine": text, "commit_id": text,
        "software": text,
    }  # fmt: skip
    return pa.schema(fields, metadata={RUNS: json.dumps(list(runs))})


def with_way(name: str, way: int) -> str:
    """A metric in the form of the column ``metric``."""
    return name if way == FIRST_WAY else f"{name}@{way}"


def metric_and_way(named: str) -> tuple[str, int]:
    """The metric and the number of its way, from a value of the column ``metric``."""
    name, _, way = named.partition("@")
    return name, whole(way) or FIRST_WAY


def write_sorted(database: Any, target: Path, metadata: Mapping[str, str] | None = None, only: str = "") -> None:
    """Write the view ``points`` as a parquet file, sorted by case, metric and time."""
    keys = ", ".join(f"'{key}': {quoted(text)}" for key, text in (metadata or {}).items())
    rows = f"select {COLUMNS} from points {only} order by case_id, metric, created, run_id"
    database.execute(
        f"copy ({rows}) to {quoted(str(target))} "
        f"(format parquet, compression zstd{f', kv_metadata {{{keys}}}' if keys else ''})"
    )


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
