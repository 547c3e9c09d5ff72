"""Every reader of user input, with a text that it accepts; any other text must end in a value or a sentence."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.faults import answers, weights
from perfgate.cases.noise_file import NAME, read_noise
from perfgate.gate import acceptance, effects
from perfgate.gate.renames import natural
from perfgate.measure.devices.visible import VISIBLE, visible
from perfgate.plugin.marks import check_marker, read_tolerance
from perfgate.plugin.options import read_shard
from perfgate.records import baseline_files, durations, runfile, shard_parts, untrusted
from perfgate.records.gpu import gpu_from
from perfgate.records.layers import expanded
from perfgate.reference.lock_files import Pin, pins_of
from perfgate.reports.issue import marks
from perfgate.reports.plane import Limits
from perfgate.shared import parsing
from perfgate.shared.errors import UserError
from perfgate.workloads.models import hub_ids, shapes

COMMIT = "0123456789" * 4  # a full hash, because an id without a commit asks the hub
BASELINES = Path(__file__).parents[2] / "baselines"
RUN = [
    {
        "schema": "perfgate.run/1",
        "run_id": "r",
        "created": "2026-01-01T00:00:00+00:00",
        "commit": "c",
        "dirty": False,
        "machine": {"name": "m"},
        "options": {},
        "software": {"torch": "2.13.0"},
    },
]


@dataclass(frozen=True)
class Parser:
    """One reader.

    Attributes:
        read: a function from the bytes of a file, or of a text.
        example: bytes that it accepts, or a function that makes them.
    """

    read: Callable[[bytes], object]
    example: bytes | Callable[[], bytes]

    @property
    def valid(self) -> bytes:
        """The bytes that it accepts."""
        return self.example if isinstance(self.example, bytes) else self.example()


@contextmanager
def written(name: str, content: bytes) -> Iterator[Path]:
    """A file with this content, while the block runs."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def of_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of files, turned into a reader of bytes."""

    def from_bytes(content: bytes) -> object:
        with written(name, content) as path:
            return read(path)

    return from_bytes


def of_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of words, turned into a reader of bytes."""
    return lambda content: read(content.decode(errors="surrogateescape"))


def of_json(read: Callable[[Any], object]) -> Callable[[bytes], object]:
    """A reader of a JSON value, turned into a reader of bytes; text that is no JSON is passed as text."""

    def from_bytes(content: bytes) -> object:
        try:
            return read(parsing.load_json(content))
        except ValueError:
            return read(content.decode(errors="surrogateescape"))

    return from_bytes


def stored() -> bytes:
    """A baseline file of this repository, with its first rows."""
    path = next(path for path in sorted(BASELINES.glob("cpu-*/*/*.json")) if path.name != NAME)
    document = json.loads(path.read_text())
    return json.dumps(document | {"rows": document["rows"][:6]}).encode()


def lines(rows: list[dict[str, Any]]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parsers(run: bytes | None = None) -> Mapping[str, Parser]:
    """All readers by name; ``run`` is a run file that a run wrote, if there is one."""
    run = run or lines(RUN)
    noise = next(iter(sorted(BASELINES.glob(f"*/{NAME}")))).read_bytes()
    config = b'{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 2}'
    return {
        "run file": Parser(of_file("run.jsonl", runfile.read), run),
        "untrusted run file": Parser(of_file("run.jsonl", untrusted.read_untrusted), run),
        "part of a run": Parser(of_file("run.jsonl", lambda path: shard_parts.scan(0, path)), run),
        "baseline": Parser(of_file("test.json", lambda path: baseline_files.load_file(path, path.parent)), stored()),
        "noise": Parser(of_file(NAME, lambda path: read_noise(path.parent)), noise),
        "durations": Parser(of_file("durations.json", durations.read_durations), b'{"test_a.py::test_it": 1.5}'),
        "configuration of a model": Parser(of_file("config.json", shapes.read_config), config),
        "duration": Parser(of_text(lambda text: parsing.read_duration("--perf-budget", text)), b"10m"),
        "share": Parser(of_text(lambda text: parsing.read_share("--perf-version-tolerance", text)), b"1%"),
        "date": Parser(of_text(lambda text: parsing.read_until("trailer", text)), b"until 2027-01-01: reason"),
        "acceptance": Parser(of_text(acceptance.of_option), b"test_it:step_time_s:+12%"),
        "effect": Parser(of_text(lambda text: effects.parse("peak_memory_bytes", text)), b"< 0.5x"),
        "shard": Parser(of_text(read_shard), b"3/40"),
        "shares": Parser(of_text(lambda text: parsing.read_shares("--slowdowns", text)), b"0,0.03"),
        "tolerance": Parser(of_json(lambda value: read_tolerance("perf", value)), b'{"step_time_s": 0.05}'),
        "hub id": Parser(of_text(lambda text: hub_ids.read_pin(f"{text}@{COMMIT}")), b"org/name"),
        "limits": Parser(of_text(lambda text: Limits.read([text])), b"memory 40GiB"),
        "trailer": Parser(of_text(lambda text: acceptance.of_trailer(text, COMMIT)), b"test_it step_time_s +12%: why"),
        "shapes": Parser(of_file("models.json", shapes.read_shapes), shapes.SHAPES.read_bytes()),
        "mark of a case": Parser(of_json(mark), b'{"tier": "quick", "launches": 3, "timeout_s": 60}'),
        "visible devices": Parser(of_text(lambda text: visible(CARDS, {VISIBLE: text})), b"1,GPU-0"),
        "marks of issues": Parser(of_text(lambda text: marks([text])), b'<!-- perfgate-change {"keys": ["a"]} -->'),
        "modules of layers": Parser(of_text(lambda text: (expanded({text: 1}), natural(text))), b"h.{0-3,5}.mlp"),
        "requirements": Parser(of_file("requirements.txt", pins), b"torch==2.13.0 --hash=sha256:00\n-r more.txt\n"),
        "lock of uv": Parser(of_file("uv.lock", pins), b"[[package]]\nname = 'torch'\nversion = '2.13.0'\n"),
        **{name: Parser(read, example) for name, (read, example) in (answers.ROWS | weights.READERS).items()},
    }


CARDS = [gpu_from({"uuid": f"GPU-{index}", "index": index, "name": "H100", "memory_bytes": 1}) for index in (0, 1)]


def mark(value: Any) -> None:
    """Check the arguments of a case's mark."""
    check_marker("test_it", () if isinstance(value, dict) else (value,), value if isinstance(value, dict) else {})


def pins(path: Path) -> list[Pin]:
    """The libraries that a file pins."""
    return list(pins_of(path, path.name))


def ends_well(parser: Parser, content: bytes) -> bool:
    """Whether a reader accepted a text; if it refused the text with a sentence, that is fine too, and else it raises.

    Returns:
        Whether it accepted it.
    """
    try:
        parser.read(content)
    except UserError:
        return False
    return True
