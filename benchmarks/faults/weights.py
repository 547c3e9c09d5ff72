"""Headers of weights, which Perfgate hands on to other libraries: what these say of damaged ones must be a sentence."""

import atexit
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from benchmarks.faults.world import Ran, World
from perfgate.shared.errors import UserError
from tests.support.gguf_files import write_gguf

MODEL = """
from pathlib import Path

from perfgate import Model


def test_model(perf, forward):
    perf(forward(Model.from_folder(Path("model").absolute())))
"""
PACKAGE = """
from perfgate import Model

GGUF = {{"package": "tiny_weights", "gguf": "tiny.gguf", "sha256": {{"tiny.gguf": "{digest}"}}}}


def test_model(perf, generation):
    perf(generation(Model.from_shape("tiny", {{"classes": {{"causal-lm": "LlamaForCausalLM"}}, **GGUF}})))
"""
SAVE = """
from transformers import GPT2Config, GPT2LMHeadModel
GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=64, n_positions=64)).save_pretrained("model")
"""
FILE = "model.safetensors"
SAID = "cannot be read (Error while deserializing header"
LENGTH_BYTES = 8  # of a safetensors header's length, in front of it


@cache
def saved() -> Path:
    """A folder with a small model; saving one takes longer than most runs."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder)
    subprocess.run([sys.executable, "-c", SAVE], cwd=folder, check=True, capture_output=True)
    return folder / "model"


def with_model(world: World, case: str) -> None:
    """Put a small model into the suite's folder, and a case of it."""
    shutil.copytree(saved(), world.folder / "model")
    (world.folder / "perf_tests" / "test_model.py").write_text(case)


def safetensors() -> bytes:
    """The weights of a small model."""
    return (saved() / FILE).read_bytes()


def load(content: bytes) -> None:
    """Load such a model with other weights, as an actor does; its own sentences are what people are told."""
    from perfgate.actor.failures import WrongModel
    from perfgate.actor.techniques.models import build_model

    with TemporaryDirectory() as folder:
        shutil.copytree(saved(), folder, dirs_exist_ok=True)
        Path(folder, FILE).write_bytes(content)
        try:
            build_model({"class": "GPT2LMHeadModel", "folder": folder}, seed=0)
        except WrongModel as error:
            raise UserError(str(error)) from None


@cache
def gguf() -> bytes:
    """A small model in GGUF, with its tokenizer."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.gguf")
        write_gguf(path)
        return path.read_bytes()


def convert(content: bytes) -> None:
    """Convert such a file; whatever the process that does so dies of is told in a sentence."""
    from perfgate.actor import convert_gguf

    with TemporaryDirectory() as folder:
        path = Path(folder, "model.gguf")
        path.write_bytes(content)
        try:
            convert_gguf.convert(path, Path(folder, "converted"))
        except Exception as error:
            raise UserError(f"model.gguf cannot be converted: {error}") from None


READERS: dict[str, tuple[Callable[[bytes], object], Callable[[], bytes]]] = {
    "weights in safetensors": (load, safetensors),
    "weights in GGUF": (convert, gguf),
}
HEADERS: dict[str, Callable[[bytes], bytes]] = {
    "is cut": lambda content: content[:40],
    "is longer than the file": lambda content: b"\xff" * 7 + b"\x7f" + content[LENGTH_BYTES:],
    "is garbage": lambda content: content[:LENGTH_BYTES] + b"\xff{" + content[LENGTH_BYTES + 2 :],
}


def damaged(change: Callable[[bytes], bytes]) -> Callable[[World], Ran]:
    """A run of a model the header of whose weights was changed."""

    def act(world: World) -> Ran:
        with_model(world, MODEL)
        path = world.folder / "model" / FILE
        path.write_bytes(change(path.read_bytes()))
        ran = world.run("-k", "model")
        (world.folder / "perf_tests" / "test_model.py").unlink()
        return ran

    return act


def damaged_gguf(world: World) -> Ran:
    """A run of a model in GGUF whose header is cut; the case pins this very file."""
    content = gguf()[:40]
    package = world.folder / "tiny_weights"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tiny.gguf").write_bytes(content)
    case = world.folder / "perf_tests" / "test_model.py"
    case.write_text(PACKAGE.format(digest=sha256(content).hexdigest()))
    ran = world.run("-k", "model", env={"HF_HOME": str(world.folder / "hf")})
    case.unlink()
    return ran


ROWS = (
    *((f"a safetensors header that {what}", "weights", "fails", SAID, damaged(one)) for what, one in HEADERS.items()),
    ("a GGUF header that is cut", "weights", "fails", "tiny.gguf cannot be converted: ", damaged_gguf),
)
