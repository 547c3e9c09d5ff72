"""Runs the proof on a real GPU in several parts, called slices: ci/gpu-proof [--out DIR].

Each invocation runs as many slices as fit into its time, stores their results in DIR, and prints the command that
continues.
"""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks.proof import wheels
from benchmarks.proof.bench import Bench
from benchmarks.proof.place import SUMMARY, Place
from benchmarks.proof.slices import SLICES
from perfgate.shared.errors import UserError

LIMIT_S = 480
REFUTED, BAD_INPUT, ENDED = 1, 2, 143
EPILOG = f"""slices, in this order, and what each may take:
{chr(10).join(f"  {one.name:11} {one.expected_s:4} s  {one.what}" for one in SLICES)}

wheels that --wheels brings, for Python {wheels.PYTHON} on x86-64 Linux:
{wheels.listing()}
There already must be: {", ".join(f"{name} {least}" for name, least in wheels.THERE.items())}, or newer.

PYTHON=... names the interpreter; else it is .venv/bin/python of this tree, or python3.
exit code: 0 nothing refuted, 1 a line of the bar does not hold, 2 wrong usage or a package is missing"""


def main():
    """Read the options; then download wheels, or begin or continue the proof."""
    parser = argparse.ArgumentParser(
        prog="ci/gpu-proof",
        description="Prove or refute the CUDA path on a machine with one GPU, without network.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("gpu-proof"), help="default: gpu-proof")
    parser.add_argument("--slice", metavar="NAME", choices=[one.name for one in SLICES], help="this one alone, anew")
    parser.add_argument("--limit", metavar="SECONDS", type=float, default=LIMIT_S, help=f"default: {LIMIT_S}")
    stand = parser.add_mutually_exclusive_group()
    stand.add_argument("--dry", action="store_true", help="on the CPU with small shapes; proves nothing of CUDA")
    stand.add_argument("--emulated", action="store_true", help="on an emulated card: all slices but those about time")
    parser.add_argument("--wheels", metavar="DIR", type=Path, help="download wheels there, with a network, and end")
    parser.add_argument("--also", metavar="NAME", nargs="+", default=[], help="large wheels to download too")
    parser.add_argument("--install", metavar="DIR", type=Path, help="take what is missing from there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))
    try:
        if options.wheels:
            wheels.download(options.wheels, options.also)
            return 0
        with tempfile.TemporaryDirectory(prefix="gpu-proof-") as work:
            return prove(options, Path(work))
    except UserError as error:
        print(f"ci/gpu-proof: {error}", file=sys.stderr)
        return BAD_INPUT


def prove(options, work):
    """Run slices until all are done or too little time is left; return the exit code."""
    paths = []
    end = time.monotonic() + options.limit
    if options.install:
        # datasets hashes functions with dill, which pickles modules by value unless their path says site-packages.
        paths = [work / "site-packages"]
        wheels.install(options.install, paths[0])
    wheels.check()
    if options.emulated:
        refuse_without_card()
    place = Place(options.out.resolve(), work, mode_of(options))
    place.open()
    done = {name for name, found in place.state()["slices"].items() if not found.get("cut")}
    slices = [one for one in SLICES if place.mode in one.modes]
    wanted = [one for one in slices if one.name == options.slice or (not options.slice and one.name not in done)]
    left = taken(Bench(place, end, tuple(paths)), wanted)
    page, rows = show(place)
    print(page)
    if left:
        # A slice that did not fit into a whole invocation needs a longer one.
        limit_s = options.limit if left[0] is not wanted[0] else round(1.5 * options.limit)
        print(f"Left to do: {', '.join(one.name for one in left)}. Go on with: {again(options, limit_s)}")
    return REFUTED if any(row.held is False for row in rows) else 0


def refuse_without_card():
    """Build the emulated card; this refuses if it cannot be built."""
    # Imported only now, because its libraries may come from the wheels.
    from perfgate.measure.emulator.build import started_on
    from perfgate.measure.emulator.profiles import PROFILES, STANDARD

    started_on(PROFILES[STANDARD])


def mode_of(options):
    """The mode of the proof: on a card, on an emulated one, or on the CPU."""
    return "emulated" if options.emulated else "dry" if options.dry else "cuda"


def taken(bench, wanted):
    """Run slices, at least the first one; return the slices that are left, interrupted ones first."""
    cut = []
    for number, one in enumerate(wanted):
        if number and bench.left_s < one.expected_s:
            return [*cut, *wanted[number:]]
        bench.interrupted.clear()
        print(f"{one.name}: {one.what} ...", file=sys.stderr, flush=True)
        begin = time.monotonic()
        try:
            found = dict(one.work(bench))
        except Exception as error:  # an error in one slice must not stop the others
            bench.place.log(traceback.format_exc())
            found = {"code": f"{type(error).__name__}: {error}", "broken": True}
        if bench.cut(one.name):
            found["cut"] = True
            cut.append(one)
        bench.place.keep(one.name, {**found, "took_s": round(time.monotonic() - begin, 1)})
        show(bench.place)
    return cut


def show(place):
    """Write the summary; returns it, and the lines of the bar."""
    # Imported only now, because its libraries may come from the wheels.
    from benchmarks.proof.summary import summary
    from benchmarks.proof.tier import TIERS

    page, rows = summary(place, TIERS[place.mode])
    place.write(SUMMARY, page)
    return page, rows


def again(options, limit_s):
    """The command that continues the proof, with this many seconds for an invocation."""
    words = ["ci/gpu-proof", "--out", str(options.out)]
    words += [f"--{mode_of(options)}"] if options.dry or options.emulated else []
    words += ["--limit", f"{limit_s:g}"] if limit_s != LIMIT_S else []
    words += ["--install", str(options.install)] if options.install else []
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
