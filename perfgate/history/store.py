"""The store: one immutable parquet file a run, below any URL that fsspec opens.

A run's file is ``<url>/<machine>/<date>-<commit>-<uuid>.parquet``, so no two writers touch one file. A file appears
under its name only when it is complete. Each file names the runs that it holds, and a run that several files hold is
read from the first of them. So a merge of files can end at any moment: as long as the old ones stand beside the new
one, nothing counts twice.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote

from perfgate.history.failures import intact, told
from perfgate.history.index import index_of, written
from perfgate.history.points import Point, Run
from perfgate.history.table import COLUMNS, INDEX, RUNS, quoted, schema, with_way, write_sorted
from perfgate.shared.credentials import concealed
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

SUFFIX = ".parquet"
UNFINISHED = ".part"
MERGED = "merged"  # the beginning of merged files' names
MEMORY = "600MB"  # the most memory for sorting; the rest goes to disk
ATTEMPTS = 5
MISSING = "the history needs pyarrow, duckdb and fsspec; pip install 'perfgate[history]'"


@dataclass(frozen=True)
class Stored:
    """One file of the store.

    Attributes:
        path: its path in the store's file system.
        runs: the ids of the runs that are read from it, without those of earlier files.
        held: the number of runs that it holds.
        footer: its metadata, with the positions of its parts.
    """

    path: str
    runs: frozenset[str]
    held: int
    footer: Any

    @property
    def index(self) -> str:
        """The index of a merged file as text; empty if it has none."""
        return str(self.footer.metadata.get(INDEX.encode(), b""), "utf-8")


class Store:
    """The history below one URL: a folder, or ``s3://``, ``gs://``, ``hf://`` if fsspec's package is installed."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise UserError(MISSING) from None
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise UserError(f"{url}: cannot be opened: {error}") from None
        self.url = concealed(url)  # the URL for messages

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
        return sorted(unquote(Path(entry["name"]).name) for entry in entries if entry["type"] == "directory")

    def _folder(self, machine: str) -> str:
        """The folder of a machine. A name with a slash, such as ``portable/torch-2.13``, becomes a single folder."""
        return f"{self.root}/{quote(machine, safe='')}"

    def stored(self, machine: str) -> list[Stored]:
        """The complete files of a machine, those with the most runs first."""
        for _ in range(ATTEMPTS):
            names = self._names(machine)
            found = list(self._read(names))
            # Runs that another process has just merged are in a file that was not listed.
            appeared = set(self._names(machine)).difference(names)
            if not any(name.rpartition("/")[2].startswith(MERGED) for name in appeared):
                return owned(sorted(found, key=lambda one: (-one.held, one.path)))
        raise self.restless(machine)

    def restless(self, machine: str) -> UserError:
        """The error for a reader that other processes disturbed ``ATTEMPTS`` times."""
        return UserError(f"{self.url}: its files of {machine} changed {ATTEMPTS} times while they were read; run again")

    def _names(self, machine: str) -> list[str]:
        """The names of a machine's complete files; none is opened."""
        folder = self._folder(machine)
        with told(self.url):
            names = self.files.ls(folder, detail=False, refresh=True) if self.files.exists(folder) else []
        return sorted(name for name in names if name.endswith(SUFFIX))

    def _read(self, names: Iterable[str]) -> Iterator[Stored]:
        """The files with these names, from their metadata."""
        for name in names:
            with told(self.url), suppress(FileNotFoundError):
                footer = self._footer(name)
                runs = runs_in(name, footer.metadata)
                yield Stored(name, runs, len(runs), footer)

    def holds(self, run: Run) -> bool:
        """Whether a run is stored. Only files that may hold it are read: its own, and merged ones."""
        beginnings = (f"{name_of(run)}-", f"{MERGED}-")
        names = [name for name in self._names(run.machine) if name.rpartition("/")[2].startswith(beginnings)]
        return any(run.run_id in one.runs for one in self._read(names))

    def add(self, run: Run, points: Sequence[Point]) -> bool:
        """Store a run; ``False`` if it is stored already, or has no gated metric."""
        import pyarrow as pa

        if not points or self.holds(run):
            return False
        common = asdict(run)
        common["commit_id"] = common.pop("commit")
        rows = [{"case_id": row.pop("case"), **row, **common} for row in map(asdict, points)]
        for row in rows:
            row["metric"] = with_way(row["metric"], row.pop("way"))
        rows.sort(key=lambda row: (row["case_id"], row["metric"]))
        self._write(pa.Table.from_pylist(rows, schema=schema([run.run_id])), run.machine, name_of(run))
        return True

    def compact(self, machine: str) -> int:
        """Merge the files of a machine into one, sorted by case; returns how many files it replaces.

        The merged file is complete and read back before an old one is removed. If another process merges the same
        files meanwhile, the files that are there then are merged.
        """
        for _ in range(ATTEMPTS):
            old = self.stored(machine)
            if len(old) < 2:
                return 0
            with suppress(FileNotFoundError):
                with intact(f"{self.url}: the history of {machine}"):
                    self._merge(machine, old)
                for one in old:
                    with suppress(FileNotFoundError), told(self.url):
                        self.files.rm_file(one.path)
                return len(old)
        raise self.restless(machine)

    def _merge(self, machine: str, old: Sequence[Stored]) -> None:
        """Write a file with the runs of the old ones, and read it back.

        Raises:
            FileNotFoundError: another process removed an old file, or merged the new one.
        """
        runs = sorted(frozenset().union(*(one.runs for one in old)))
        with self.query(machine, old) as database, TemporaryDirectory() as scratch:
            target = Path(scratch, "merged.parquet")
            write_sorted(database, target, {RUNS: json.dumps(runs), INDEX: written(index_of(database, machine))})
            expected = database.execute("select count(*) from points").fetchone()[0]
            merged = self._publish(target, machine, MERGED)
        footer = self._footer(merged)
        if footer.num_rows != expected or runs_in(merged, footer.metadata) != frozenset(runs):
            raise UserError(f"{merged}: was not written completely, so the files that it replaces were kept")

    @contextmanager
    def query(self, machine: str, files: Sequence[Stored]) -> Iterator[Any]:
        """A DuckDB connection with the view ``points``: the points in some files of a machine, each once.

        Raises:
            FileNotFoundError: another process removed a file.
        """
        import duckdb

        with TemporaryDirectory() as scratch, duckdb.connect() as database:
            database.execute(f"set memory_limit = '{MEMORY}'; set temp_directory = '{scratch}'")
            database.execute("set autoinstall_known_extensions = false; set autoload_known_extensions = false")
            if not self.local:
                database.register_filesystem(self.files)
            paths = [one.path if self.local else self.files.unstrip_protocol(one.path) for one in files]
            only = ""
            if any(len(one.runs) != one.held for one in files):
                database.execute("create table owner (filename varchar, run_id varchar)")
                owners = [(path, run) for path, one in zip(paths, files, strict=True) for run in one.runs]
                database.executemany("insert into owner values (?, ?)", owners)
                only = "where (filename, run_id) in (select (filename, run_id) from owner)"
            listed = ", ".join(map(quoted, paths))
            try:
                database.execute(
                    f"create view points as select {COLUMNS} from read_parquet([{listed}], filename = true) {only}"
                )
                yield database
            except duckdb.IOException as error:
                if all(self.files.exists(one.path) for one in files):
                    raise UserError(f"{self.url}: {error}") from None
                raise FileNotFoundError(str(error)) from error

    def fetched(self, one: Stored, scratch: Path) -> Path:
        """A file of the store as a local file."""
        if self.local:
            return Path(one.path)
        target = scratch / Path(one.path).name
        with told(self.url):
            self.files.get_file(one.path, str(target))
        return target

    def _footer(self, path: str) -> Any:
        """The metadata of a file: its number of rows, and its runs."""
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
        """Copy a complete file into the store, under a name that no other writer uses."""
        folder = self._folder(machine)
        final = f"{folder}/{name}-{uuid.uuid4().hex}{SUFFIX}"
        try:
            with told(self.url):
                # A path that begins with a bucket needs no folders; makedirs would try to create the bucket.
                if self.root.startswith("/"):
                    self.files.makedirs(folder, exist_ok=True)
                if self.local:  # an object store shows an object only when it is complete
                    self.files.put_file(str(source), final + UNFINISHED)
                    Path(final + UNFINISHED).replace(final)
                else:
                    self.files.put_file(str(source), final)
        except FileNotFoundError as error:
            raise UserError(
                f"{self.url}: cannot be written: {error}; make the bucket first, or mend its name"
            ) from None
        return final


def name_of(run: Run) -> str:
    """The beginning of the name of a run's own file."""
    return f"{run.created:%Y%m%d}-{run.commit[:12]}"


def owned(files: Iterable[Stored]) -> list[Stored]:
    """The files, each with only the runs that no earlier file holds."""
    taken: set[str] = set()
    found = []
    for one in files:
        found.append(replace(one, runs=one.runs - taken))
        taken |= one.runs
    return found


def runs_in(path: str, metadata: Mapping[bytes, bytes] | None) -> frozenset[str]:
    """The runs that a file says it holds.

    Raises:
        UserError: it does not name them, so another program wrote it.
    """
    try:
        return frozenset(load_json((metadata or {})[RUNS.encode()]))
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: is not a file of Perfgate's history; keep other files elsewhere") from None
