"""The store: one immutable parquet file a run, below any URL that fsspec opens.

A run's file is ``<url>/<machine>/<date>-<commit>-<uuid>.parquet``, so no two writers touch one file. A file appears
under its name only when it is complete. Each file names the runs that it holds, and a run that several files hold is
read from the first of them. So a merge of files can end at any moment: as long as the old ones stand beside the new
one, nothing counts twice.
"""

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from perfgate.history.points import Point, Run
from perfgate.shared.credentials import concealed
from perfgate.shared.errors import UserError
from perfgate.shared.metric import FIRST_WAY

SUFFIX = ".parquet"
RUNS = "perfgate.runs"  # the key of a file's metadata that names its runs
UNFINISHED = ".part"
MERGED = "merged"  # how the names of merged files begin
MEMORY = "600MB"  # for sorting; more goes to the disk
COLUMNS = "case_id, metric, value, yardsticks, launches, accepted, run_id, created, machine, commit_id, software"
WAY = "way"  # a column that files of earlier versions lack; all that they hold was measured in the first way
ATTEMPTS = 5
MISSING = "the history needs pyarrow, duckdb and fsspec; pip install 'perfgate[history]'"


@dataclass(frozen=True)
class Stored:
    """One file of the store.

    Attributes:
        path: below the store's file system.
        runs: the ids of the runs that it holds.
    """

    path: str
    runs: frozenset[str] = field(default_factory=frozenset)


class Store:
    """The history below one URL: a folder, or ``s3://``, ``gs://``, ``hf://`` where fsspec's package is installed."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise UserError(MISSING) from None
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise UserError(f"{url}: cannot be opened: {error}") from None
        self.url = concealed(url)  # for people

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "file" in (self.files.protocol if isinstance(self.files.protocol, tuple) else (self.files.protocol,))

    def machines(self) -> list[str]:
        """The names of the machines that have a history."""
        with told(self.url):
            if not self.files.exists(self.root):
                return []
            entries = self.files.ls(self.root, detail=True, refresh=True)
        return sorted(Path(entry["name"]).name for entry in entries if entry["type"] == "directory")

    def stored(self, machine: str) -> list[Stored]:
        """The complete files of a machine, those that hold most runs first."""
        return sorted(self._read(self._names(machine)), key=lambda one: (-len(one.runs), one.path))

    def _names(self, machine: str) -> list[str]:
        """The complete files of a machine, which are not read."""
        folder = f"{self.root}/{quote(machine)}"
        with told(self.url):
            names = self.files.ls(folder, detail=False, refresh=True) if self.files.exists(folder) else []
        return sorted(name for name in names if name.endswith(SUFFIX))

    def _read(self, names: Iterable[str]) -> Iterator[Stored]:
        """What files say of themselves."""
        for name in names:
            # Another process may have merged it meanwhile; what it held stands in the merged file.
            with told(self.url), suppress(FileNotFoundError):
                yield Stored(name, runs_in(name, self._footer(name).metadata))

    def holds(self, run: Run) -> bool:
        """Whether a run is kept. Only files that may hold it are read: its own, and merged ones."""
        beginnings = (f"{name_of(run)}-", f"{MERGED}-")
        names = [name for name in self._names(run.machine) if name.rpartition("/")[2].startswith(beginnings)]
        return any(run.run_id in one.runs for one in self._read(names))

    def add(self, run: Run, points: Sequence[Point]) -> bool:
        """Keep a run; ``False`` if it is kept already, or measured nothing that is gated."""
        import pyarrow as pa

        if not points or self.holds(run):
            return False
        common = asdict(run)
        common["commit_id"] = common.pop("commit")
        rows = [{"case_id": row.pop("case"), **row, **common} for row in map(asdict, points)]
        rows.sort(key=lambda row: (row["case_id"], row["metric"]))
        self._write(pa.Table.from_pylist(rows, schema=schema([run.run_id])), run.machine, name_of(run))
        return True

    def compact(self, machine: str) -> int:
        """Merge the files of a machine into one, sorted by case; returns how many files it replaces.

        The merged file is complete and read back before an old one is removed.
        """
        old = self.stored(machine)
        if len(old) < 2:
            return 0
        runs = sorted(frozenset().union(*(one.runs for one in old)))
        with self.query(machine, old) as database, TemporaryDirectory() as scratch:
            target = Path(scratch, "merged.parquet")
            listed = json.dumps(runs).replace("'", "''")
            database.execute(
                f"copy (select {COLUMNS}, {WAY} from points order by case_id, metric, created, run_id) to '{target}' "
                f"(format parquet, compression zstd, kv_metadata {{'{RUNS}': '{listed}'}})"
            )
            expected = database.execute("select count(*) from points").fetchone()[0]
            merged = self._publish(target, machine, MERGED)
        footer = self._footer(merged)
        if footer.num_rows != expected or runs_in(merged, footer.metadata) != frozenset(runs):
            raise UserError(f"{merged}: was not written completely, so the files that it replaces were kept")
        for one in old:
            with suppress(FileNotFoundError), told(self.url):
                self.files.rm_file(one.path)
        return len(old)

    @contextmanager
    def query(self, machine: str, files: Sequence[Stored] | None = None) -> Iterator[Any]:
        """A DuckDB connection with the view ``points``: each point of a machine once, whatever files hold it."""
        import duckdb

        files = self.stored(machine) if files is None else files
        if not files:
            known = ", ".join(self.machines()) or "none"
            raise UserError(f"{self.url}: holds no history of machine {machine!r}; machines with a history: {known}")
        with TemporaryDirectory() as scratch, duckdb.connect() as database:
            database.execute(f"set memory_limit = '{MEMORY}'; set temp_directory = '{scratch}'")
            database.execute("set autoinstall_known_extensions = false; set autoload_known_extensions = false")
            if not self.local:
                database.register_filesystem(self.files)
            paths = [one.path if self.local else self.files.unstrip_protocol(one.path) for one in files]
            database.execute("create table owner (filename varchar, run_id varchar)")
            if len(owners := owned(dict(zip(paths, files, strict=True)))) != sum(len(one.runs) for one in files):
                database.executemany("insert into owner values (?, ?)", [(path, run) for run, path in owners.items()])
                only = "where (filename, run_id) in (select (filename, run_id) from owner)"
            else:
                only = ""
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
            database.execute(f"create view points as {select_points(database, f'[{listed}], filename = true')} {only}")
            yield database

    def sorted_file(self, machine: str, scratch: Path) -> Path:
        """A machine's points in one file, sorted by case, metric and time.

        A single file is sorted already, so it is only linked: a merge that removes it meanwhile takes nothing away.
        Another process may merge several files meanwhile; then the sorted one is made again from what stands there now.
        """
        import duckdb

        target = scratch / "sorted.parquet"
        for _ in range(ATTEMPTS):
            files = self.stored(machine)
            if self.local and len(files) == 1:
                with suppress(FileNotFoundError):
                    link(Path(files[0].path), target)
                    return target
                continue
            with suppress(duckdb.IOException), self.query(machine, files) as database:
                database.execute(
                    f"copy (select * from points order by case_id, metric, created, run_id) to '{target}' "
                    "(format parquet, row_group_size 100000)"
                )
                return target
        raise UserError(f"{self.url}: its files of {machine} changed {ATTEMPTS} times while they were read; run again")

    def _footer(self, path: str) -> Any:
        """What a file says of itself: its rows, and the runs that it holds."""
        import pyarrow.parquet as pq

        with self.files.open(path) as file:
            return pq.read_metadata(file)

    def _write(self, table: Any, machine: str, name: str) -> str:
        import pyarrow.parquet as pq

        with TemporaryDirectory() as scratch:
            target = Path(scratch, "run.parquet")
            pq.write_table(table, target, compression="zstd")
            return self._publish(target, machine, name)

    def _publish(self, source: Path, machine: str, name: str) -> str:
        """Copy a complete file into the store, under a name that no other writer has."""
        folder = f"{self.root}/{quote(machine)}"
        final = f"{folder}/{name}-{uuid.uuid4().hex}{SUFFIX}"
        try:
            with told(self.url):
                # A path that begins with a bucket needs no folders, and asked for one the store would make the bucket.
                if self.root.startswith("/"):
                    self.files.makedirs(folder, exist_ok=True)
                if self.local:  # an object store shows an object only when it is whole
                    self.files.put_file(str(source), final + UNFINISHED)
                    Path(final + UNFINISHED).replace(final)
                else:
                    self.files.put_file(str(source), final)
        except FileNotFoundError as error:
            raise UserError(
                f"{self.url}: cannot be written: {error}; make the bucket first, or mend its name"
            ) from None
        return final


def select_points(database: Any, files: str) -> str:
    """The query for all points of some files, whether they have the column of ways or not.

    Args:
        database: that reads them.
        files: the arguments of DuckDB's ``read_parquet``.
    """
    there = f"read_parquet({files}, union_by_name = true)"
    columns = [row[0] for row in database.execute(f"describe select * from {there}").fetchall()]
    way = f"coalesce({WAY}, {FIRST_WAY})" if WAY in columns else str(FIRST_WAY)
    return f"select {COLUMNS}, {way}::integer as {WAY} from {there}"


def name_of(run: Run) -> str:
    """How the name of a run's own file begins."""
    return f"{run.created:%Y%m%d}-{run.commit[:12]}"


def link(source: Path, target: Path) -> None:
    """Let a file have another name, or copy it where file systems differ."""
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def owned(files: Mapping[str, Stored]) -> dict[str, str]:
    """The file from which each run is read: the first that holds it."""
    owners: dict[str, str] = {}
    for path, one in files.items():
        for run in one.runs:
            owners.setdefault(run, path)
    return owners


def schema(runs: Sequence[str]) -> Any:
    """The columns of a file, and the runs that it holds."""
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    fields = {
        "case_id": text, "metric": text, "value": pa.float64(), "yardsticks": pa.float64(), "launches": pa.int32(),
        "accepted": text, "run_id": text, "created": pa.timestamp("us", tz="UTC"), "machine": text, "commit_id": text,
        "software": text, WAY: pa.int32(),
    }  # fmt: skip
    return pa.schema(fields, metadata={RUNS: json.dumps(list(runs))})


def runs_in(path: str, metadata: Mapping[bytes, bytes] | None) -> frozenset[str]:
    """The runs that a file says it holds.

    Raises:
        UserError: it does not say it, so another program wrote it.
    """
    try:
        return frozenset(json.loads((metadata or {})[RUNS.encode()]))
    except (KeyError, ValueError):
        raise UserError(f"{path}: is not a file of Perfgate's history; keep other files elsewhere") from None


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turn what a file system refuses into a sentence."""
    try:
        yield
    except (FileNotFoundError, UserError):
        raise
    except Exception as error:  # the packages of object stores have exceptions of their own
        raise UserError(f"{url}: {getattr(error, 'strerror', None) or error}") from None
