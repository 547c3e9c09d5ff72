"""Fuzzes every reader of user input, guided by the coverage of Perfgate's own code.

    pip install atheris                                                     # CPython 3.11 to 3.13 on Linux
    python -m benchmarks.fuzz [WORD] [--seconds 600] [--corpus DIR]

Each reader whose name contains the word gets texts for this long, in a separate process, beginning with one that it
accepts. It must end in a value or in a sentence (``UserError``); anything else, or a text that takes ten seconds, is a
finding. Texts that reach new code are kept in the corpus, with which the next call continues. The exit code is the
number of readers with a finding; its text lies in the corpus's folder and belongs into
``tests/faults/test_parsers.py``.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

HANG_S = 10
LONGEST_BYTES = 1 << 16
CORPUS = Path("perf_output") / "fuzz"  # git ignores this folder


def main():
    """Fuzz the chosen readers, one after the other, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return fuzz(options.one, options.seconds, options.corpus)
    from benchmarks.faults.parsers import parsers

    chosen = {name: one.valid for name, one in parsers().items() if options.word in name}
    print("| reader | texts | seconds | covered | corpus | came |\n|---|---|---|---|---|---|")
    return sum([fuzzed(name, valid, options) for name, valid in chosen.items()])


def fuzzed(name, valid, options):
    """Fuzz one reader in a process of its own, and print its row; returns whether something was found."""
    folder = options.corpus.absolute() / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "valid").write_bytes(valid)
    arguments = ["--one", name, "--seconds", str(options.seconds), "--corpus", str(folder)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.fuzz", *arguments], capture_output=True, check=False)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    ended = re.search(r"Done (\d+) runs in (\d+) second", said)
    texts, seconds = ended.groups() if ended else ("?", "?")
    covered = (re.findall(r"cov: (\d+)", said) or ["?"])[-1]
    wrong = done.returncode != 0 or not ended
    came = "a finding" if wrong else "values and sentences alone"
    print(f"| {name} | {texts} | {seconds} | {covered} | {len(list(folder.iterdir()))} | {came} |", flush=True)
    if wrong:
        print(said[-3000:], file=sys.stderr)
    return wrong


def fuzz(name, seconds, corpus):
    """Fuzz one reader in this process, which ends with it."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs atheris: pip install atheris")
    with atheris.instrument_imports(include=["perfgate"]):
        from benchmarks.faults.parsers import ends_well, parsers
    reader = parsers()[name]
    found = corpus.parent / f"found-{corpus.name}-"
    limits = [f"-max_total_time={seconds}", f"-timeout={HANG_S}", f"-max_len={LONGEST_BYTES}", "-rss_limit_mb=4096"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={found}", str(corpus)], lambda data: ends_well(reader, data)
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
