"""Faults of files: full disks, read-only folders, and files that are cut, doubled or garbage."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.world import CASE, Ran, World

# In a mount namespace of its own, the folder's files are on a disk of limited size, or read-only. At the end the
# disk's files are copied beside the folder, to be examined.
SMALL_DISK = """
folder=$1 size=$2; shift 2
cp -a "$folder" "$folder.kept" && mount -t tmpfs -o size="$size" tmpfs "$folder" && cp -a "$folder.kept/." "$folder"
"$@"; code=$?
rm -rf "$folder.kept" && cp -a "$folder" "$folder.after"
exit $code
"""
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'


def can_mount() -> bool:
    """Whether this process may mount in a namespace of its own."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def on_small_disk(name: str, size: str, *arguments: str) -> Callable[[World], Ran]:
    """A run with a folder on a disk that is soon full."""

    def act(world: World) -> Ran:
        folder = world.folder / name
        folder.mkdir(exist_ok=True)
        before = ["unshare", "-m", "bash", "-c", SMALL_DISK, "-", str(folder), size]
        ran = world.run(*arguments, before=before)
        shutil.rmtree(folder)
        Path(f"{folder}.after").rename(folder)
        return ran

    return act


def read_only(name: str, *arguments: str) -> Callable[[World], Ran]:
    """A run with a folder that cannot be written."""

    def act(world: World) -> Ran:
        folder = world.folder / name
        folder.mkdir(exist_ok=True)
        return world.run(*arguments, before=["unshare", "-m", "bash", "-c", READ_ONLY, "-", str(folder)])

    return act


def damaged(change: Callable[[bytes], bytes], *arguments: str) -> Callable[[World], Ran]:
    """A run with a changed baseline file, which is restored afterwards."""

    def act(world: World) -> Ran:
        kept = {path: path.read_bytes() for path in (world.folder / "baselines").rglob("test_it.json")}
        for path, content in kept.items():
            path.write_bytes(change(content))
        ran = world.run(*arguments)
        touched = [path for path, content in kept.items() if path.read_bytes() != change(content)]
        for path, content in kept.items():
            path.write_bytes(content)
        return Ran(99, f"damaged files were written over: {touched}\n{ran.output}") if touched else ran

    return act


def report_of(change: Callable[[bytes], bytes]) -> Callable[[World], Ran]:
    """A report of a changed run file."""

    def act(world: World) -> Ran:
        world.run()
        (path,) = (world.folder / "perf_output").glob("*.jsonl")
        path.write_bytes(change(path.read_bytes()))
        ran = world.forked("report", str(path), module="perfgate")
        path.unlink()
        return Ran(1, ran.output) if ran.code == 2 else ran

    return act


def part_changed(change: Callable[[bytes], bytes]) -> Callable[[World], Ran]:
    """A run during which the lines written so far are changed."""

    def act(world: World) -> Ran:
        later = world.folder / "perf_tests" / "test_later.py"
        later.write_text(CASE.replace("test_it", "test_later").replace("Faulty", "Late"))
        process = world.start()
        parts: list[Path] = []

        def written() -> bool:
            parts[:] = (world.folder / "perf_output").glob("*.part")
            return any(b'"kind": "case"' in part.read_bytes() for part in parts)

        world.wait_for(written)
        for part in parts:
            part.write_bytes(change(part.read_bytes()))
        ran = world.end(process)
        later.unlink()
        return ran if parts else Ran(99, f"no part was found\n{ran.output}")

    return act


def turned(content: bytes) -> bytes:
    """The lines in the opposite order."""
    return b"\n".join(content.splitlines()[::-1]) + b"\n"


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut in half": half,
    "doubled": lambda content: content + content,
    "of zeros": lambda content: b"\0" * len(content),
    "no UTF-8": lambda content: b"\xff\xfe" + content,
    "a list": lambda content: b"[]",
    "with conflict markers": lambda content: b"<<<<<<< HEAD\n" + content + b"=======\n" + content + b">>>>>>> other\n",
    "of a later schema": lambda content: content.replace(b'"schema": ', b'"schema": 9'),
    "deeply nested": lambda content: b"[" * 100_000,
    "with numbers that are words": lambda content: content.replace(b"[0.", b'["0.').replace(b"0.0", b'x"'),
}

LINES: dict[str, Callable[[bytes], bytes]] = {
    "with garbage": lambda content: content + b"\x00\xff{garbage\n",
    "with garbage in front": lambda content: b"\x00\xff{garbage\n" + content,
    "cut": lambda content: content[: -len(content) // 3],
    "empty": lambda content: b"",
    "doubled": lambda content: content + content,
    "in another order": turned,
    "with a deep line": lambda content: content + b"[" * 100_000 + b"\n",
}
# Added lines do no harm; if a line was lost, the case must not look like a pass.
PARTS = {name: "fails" if name in ("cut", "empty", "in another order") else "passes" for name in LINES}
STORING = ("--perf-update", "more", "--perf-html", "auto")
SIZES = {"baselines": ("16k", "24k", "32k"), "perf_output": ("8k", "16k", "32k", "64k", "256k"), "tmp": ("16k", "64k")}
ROWS = (
    *((f"baseline {name}", "files", "refused", "", damaged(change)) for name, change in DAMAGE.items()),
    *(
        (f"baseline {name}, stored over", "files", "refused", "", damaged(change, "--perf-update", "more"))
        for name, change in DAMAGE.items()
    ),
    ("baselines read-only", "files", "refused", "cannot be stored", read_only("baselines", "--perf-update", "more")),
    ("output read-only", "files", "refused", "--perf-output", read_only("perf_output")),
    ("temporary folder read-only", "files", "passes whole or fails", "", read_only("tmp")),
    ("disk of baselines full", "files", "refused", "", on_small_disk("baselines", "16k", "--perf-update", "more")),
    ("disk of output full", "files", "refused", "", on_small_disk("perf_output", "4k")),
    ("disk of the temporary folder full", "files", "passes whole or fails", "", on_small_disk("tmp", "4k")),
    *(
        (
            f"disk of {name} full behind {size}",
            "disks",
            "passes whole or fails",
            "",
            on_small_disk(name, size, *STORING),
        )
        for name, sizes in SIZES.items()
        for size in sizes
    ),
    *((f"run file {name}", "files", "passes whole or fails", "", report_of(change)) for name, change in LINES.items()),
    *((f"lines of a run {name}", "files", end, "", part_changed(LINES[name])) for name, end in PARTS.items()),
)
