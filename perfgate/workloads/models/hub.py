"""Downloads of models and data sets of the Hugging Face Hub, at a commit, into the hub's own cache.

Everything goes through ``huggingface_hub``, with its cache, its token and its variables (``HF_HOME``, ``HF_ENDPOINT``,
``HF_HUB_OFFLINE``, ``HF_HUB_ETAG_TIMEOUT``, ``HF_HUB_DOWNLOAD_TIMEOUT``):
https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perfgate.shared.errors import UserError
from perfgate.shared.model_files import cached_file, sha256_of
from perfgate.shared.parsing import load_json
from perfgate.shared.workload import Json

KINDS = {"model": "model", "dataset": "data set"}
INDEX = "model.safetensors.index.json"
WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
# Files besides the weights: configuration, tokenizer, chat template.
SMALL = (".json", ".txt", ".model", ".jinja")
CONFIGURATIONS = ("config.json", "tokenizer_config.json")
CHUNK_BYTES = 1 << 20

Tell = Callable[[str], None]


def head_of(repo: str, repo_type: str, revision: str = "") -> str | None:
    """The commit that a branch or tag is at now; ``None`` if the hub cannot be reached or does not know it."""
    try:
        with quiet():
            return str(ask(repo, repo_type, revision or None).sha)
    except Exception:
        return None


def fetch_model(source: Mapping[str, Json], weights: bool, tell: Tell) -> None:
    """Download a model into the hub's cache; if it is there already, the hub is not contacted.

    Args:
        source: the model's source, with ``hub`` and ``revision``, and perhaps ``gguf`` or ``trust_remote_code``.
        weights: whether to download the weights; a dry run needs only the other files.
        tell: called with a few words before each download.

    Raises:
        UserError: the model cannot be downloaded, or has no files that Perfgate loads.
    """
    repo, revision = source["hub"], source["revision"]
    if is_cached(source, weights):
        return

    def wanted(names: list[str]) -> list[str]:
        found = [name for name in names if belongs(name, source, weights)]
        if "gguf" in source and not found:
            raise UserError(f"{repo}@{revision[:12]} has no file {source['gguf']}{listed(names, '.gguf')}")
        if "gguf" not in source and "config.json" not in found:
            files = listed(names, ".gguf")
            raise UserError(f"{repo}@{revision[:12]} has no config.json{files and f'{files}: name one with gguf=NAME'}")
        if weights and "gguf" not in source and not any(map(WEIGHTS.fullmatch, found)):
            others = listed([name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".h5"))], "")
            raise UserError(f"{repo}@{revision[:12]} has no .safetensors weights; other formats are not loaded{others}")
        # The index and the configuration come last: their presence shows that the download is complete.
        return sorted(found, key=lambda name: (bool(WEIGHTS.fullmatch(name)), name in ("config.json", INDEX), name))

    fetch(repo, revision, "model", wanted, tell)
    refuse_foreign_code(source)
    if not is_cached(source, weights):
        raise UserError(f"{repo}@{revision[:12]} lacks files that its {INDEX} or its configuration names")


def fetch_file(repo: str, revision: str, name: str, tell: Tell) -> None:
    """Download one file of a data set into the hub's cache, unless it is there already.

    Raises:
        UserError: the file cannot be downloaded.
    """
    if cached_file(repo, revision, name, "dataset"):
        return

    def wanted(names: list[str]) -> list[str]:
        if name not in names:
            raise UserError(f"data set {repo}@{revision[:12]} has no file {name}{listed(names, Path(name).suffix)}")
        return [name]

    fetch(repo, revision, "dataset", wanted, tell)


def fetch(repo: str, revision: str, repo_type: str, wanted: Callable[[list[str]], list[str]], tell: Tell) -> None:
    """Download files one after the other, and compare each with the checksum that the hub announces.

    Args:
        repo: the repository, ``org/name``.
        revision: the commit.
        repo_type: ``model`` or ``dataset``.
        wanted: given the names of all files, returns those to download, in order.
        tell: called with a few words before each download.

    Raises:
        UserError: a file cannot be downloaded, or has another checksum.
    """
    from huggingface_hub import hf_hub_download

    with locked(repo, repo_type), explained(repo, revision, repo_type), quiet():
        files = {file.rfilename: file for file in ask(repo, repo_type, revision, files_metadata=True).siblings}
        for name in wanted(list(files)):
            tell(f"downloading {repo}@{revision[:12]}: {name}")
            path = Path(hf_hub_download(repo, name, repo_type=repo_type, revision=revision))
            check_sum(path, files[name], f"{repo}@{revision[:12]}")


def ask(repo: str, repo_type: str, revision: str | None, **options: Any) -> Any:
    """Information about a repository from the hub, with the hub's own time-out."""
    from huggingface_hub import HfApi, constants

    timeout_s = constants.HF_HUB_ETAG_TIMEOUT
    return HfApi().repo_info(repo, repo_type=repo_type, revision=revision, timeout=timeout_s, **options)


def is_cached(source: Mapping[str, Json], weights: bool) -> bool:
    """Whether the hub's cache holds all files of a model."""
    repo, revision = source["hub"], source["revision"]
    if "gguf" in source:
        return cached_file(repo, revision, source["gguf"]) is not None
    if cached_file(repo, revision, "config.json") is None:
        return False
    if not all(cached_file(repo, revision, f"{name.partition('.')[0]}.py") for name in code_of(source)):
        return False
    if not weights or cached_file(repo, revision, "model.safetensors"):
        return True
    index = cached_file(repo, revision, INDEX)
    parts = set(read_object(index).get("weight_map", {}).values()) if index else set()
    return bool(parts) and all(cached_file(repo, revision, part) for part in parts)


def belongs(name: str, source: Mapping[str, Json], weights: bool) -> bool:
    """Whether a file of the repository is one that the model needs."""
    if "gguf" in source:
        return bool(name == source["gguf"])
    if "/" in name:
        return False
    if WEIGHTS.fullmatch(name):
        return weights
    return name.endswith((*SMALL, ".py") if source.get("trust_remote_code") else SMALL)


def refuse_foreign_code(source: Mapping[str, Json]) -> None:
    """Refuse code from another repository, because no commit is pinned for it.

    Raises:
        UserError: the model's configuration names such code.
    """
    if foreign := [name for name in code_of(source) if "--" in name]:
        raise UserError(
            f"{source['hub']} runs code from another repository, for which no commit is pinned: {foreign[0]}"
        )


def code_of(source: Mapping[str, Json]) -> list[str]:
    """The classes that a trusted model brings with it, ``module.Class``, read from its cached configurations."""
    if not source.get("trust_remote_code"):
        return []
    paths = [cached_file(source["hub"], source["revision"], name) for name in CONFIGURATIONS]
    maps = [read_object(path).get("auto_map", {}) for path in paths if path]
    values = [value for found in maps for value in found.values()]
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return sorted({name for name in names if isinstance(name, str)})


def read_object(path: Path) -> dict[str, Json]:
    """The JSON object in a file; empty if the file holds none, because transformers explains the mistake itself."""
    try:
        found = load_json(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def listed(names: list[str], suffix: str) -> str:
    """The end of a sentence that lists a few of the names with a suffix; empty if there are none."""
    found = [name for name in names if name.endswith(suffix)]
    return f"; it has {', '.join(found[:4])}{', ...' if len(found) > 4 else ''}" if found else ""


def check_sum(path: Path, file: Any, where: str) -> None:
    """Compare a downloaded file with its announced checksum: SHA-256 for large files, git's SHA-1 for small ones.

    Raises:
        UserError: the checksums differ; the file is then removed from the cache.
    """
    if file.lfs is not None:
        kind, announced, found = "sha256", file.lfs.sha256, sha256_of(path)
    else:
        kind, announced, found = "git sum", file.blob_id, git_sum(path)
    if announced and found != announced:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise UserError(
            f"{where}: {file.rfilename} arrived with {kind} {found[:12]}..., the hub announced {announced[:12]}...; "
            "it was deleted; run again to download it once more"
        )


def git_sum(path: Path) -> str:
    """Git's checksum of a file: SHA-1 over a header with the length, and the contents."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def locked(repo: str, repo_type: str) -> Iterator[None]:
    """Let only one process at a time download a repository, so that nobody uses unchecked files."""
    from filelock import FileLock
    from huggingface_hub import cached_assets_path

    name = f"{repo_type}-{repo.replace('/', '--')}.lock"
    with FileLock(cached_assets_path("perfgate", "locks", "hub") / name):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars and warnings of ``huggingface_hub``."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    level, silent = logging.get_verbosity(), are_progress_bars_disabled()
    logging.set_verbosity_error()
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if not silent:
            enable_progress_bars()


@contextmanager
def explained(repo: str, revision: str, repo_type: str) -> Iterator[None]:
    """Turn exceptions of ``huggingface_hub`` into a ``UserError`` of one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(sentence(error, repo, revision, repo_type)) from None


def sentence(error: Exception, repo: str, revision: str, repo_type: str) -> str:
    """A sentence that says what went wrong, and what helps."""
    from huggingface_hub import constants, errors

    what, page = f"{KINDS[repo_type]} {repo}@{revision[:12]}", f"{constants.ENDPOINT}/{repo}"
    if isinstance(error, errors.GatedRepoError):
        return f"{what} is gated: ask for access at {page}, then log in with hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{what}: {constants.ENDPOINT} has no such repository, or it is private: log in with hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        now = head_of(repo, repo_type)
        return f"{what}: this commit does not exist (any more)" + (f"; it is at {now} now" if now else "")
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return f"{what}: a file is missing: {first_line(error).rstrip('.')}"
    if constants.is_offline_mode():
        kind = "" if repo_type == "model" else f" --repo-type {repo_type}"
        get = f"hf download {repo} --revision {revision}{kind}"
        return f"{what} is not in {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE is set; where there is a network: {get}"
    cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
    return f"{what} cannot be downloaded from {constants.ENDPOINT}: {type(cause).__name__}: {first_line(cause)}"


def first_line(error: BaseException) -> str:
    """The first informative line of an exception's message."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and "Client Error" not in line]
    return said[0] if said else "no answer in time"
