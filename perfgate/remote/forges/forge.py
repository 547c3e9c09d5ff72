"""The common part of GitHub and GitLab: a change under review, and requests whose failures become one sentence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from perfgate.shared.errors import Unavailable, UserError
from perfgate.shared.parsing import load_json
from perfgate.system.bar import moves

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
MOST_PAGES = 30
PER_PAGE = 100
DOWNLOAD_BYTES = 512 * 2**20
MOST_FILES = 300


class NothingToSay(UserError):  # noqa: N818  no error: the change moved on, or is not there
    """There is not exactly one open change with the measured commit."""


@dataclass(frozen=True)
class Change:
    """A pull request, or merge request, that is open.

    Attributes:
        number: its number in its project.
        commit: the commit at its head.
    """

    number: int
    commit: str


class Forge(Protocol):
    """GitHub or GitLab, as far as comments need it."""

    def change(self) -> Change:
        """The one open change whose head was measured.

        Raises:
            NothingToSay: there is none, or more than one.
        """
        ...

    def moves_bar(self, change: Change, baselines: str) -> list[str]:
        """Files of the change that move the bar: baselines, and lines with tolerances."""
        ...

    def publish(self, change: Change, text: str, marker: str) -> str:
        """Update the comment that begins with the marker, or write a first one; returns a sentence about it."""
        ...

    def download(self, artifact: str, folder: Path) -> Path:
        """Download the artifact of the measuring run, up to a limit of size."""
        ...


class Client:
    """Requests to one API.

    Args:
        base: the API's URL.
        headers: the headers of every request, with the token.
    """

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        try:
            import httpx
        except ImportError:
            raise Unavailable(
                "perfgate comment needs httpx; install it with: pip install 'perfgate[comment]'"
            ) from None
        self._httpx = httpx
        self._http = httpx.Client(base_url=base.rstrip("/") + "/", headers=dict(headers), timeout=TIMEOUT_S)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The answer to a request, as JSON.

        Raises:
            UserError: the request fails.
        """
        try:
            answer = self._http.request(method, path, **more)
            answer.raise_for_status()
            return load_json(answer.content)
        except (self._httpx.HTTPError, ValueError) as error:
            raise UserError(f"{method} {path}: {told(error)}") from None

    def pages(self, path: str, **params: Any) -> Iterator[Any]:
        """The items of a list, from all of its pages."""
        for page in range(1, MOST_PAGES + 1):
            found = self.ask("GET", path, params={**params, "per_page": PER_PAGE, "page": page})
            items: Sequence[Any] = found if isinstance(found, list) else []
            yield from items
            if len(items) < PER_PAGE:
                return

    def save(self, path: str, target: Path) -> Path:
        """Download a URL into a file.

        Raises:
            UserError: the request fails, or the file is too large.
        """
        size = 0
        try:
            with self._http.stream("GET", path, follow_redirects=True) as answer, target.open("wb") as file:
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    size += len(piece)
                    if size > DOWNLOAD_BYTES:
                        raise UserError(f"the artifact is larger than {DOWNLOAD_BYTES >> 20} MiB; it was not read")
                    file.write(piece)
        except (self._httpx.HTTPError, OSError) as error:
            raise UserError(f"GET {path}: {told(error)}") from None
        return target


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Turn an unexpected form of an API's answer into one sentence, within the block or the decorated function.

    Args:
        name: the forge's name.

    Raises:
        UserError: a key or an item is missing, or of the wrong type.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{name} gave an answer that its API does not describe ({type(error).__name__}: {error}); see whether the "
            "address of the API is right and nothing answers in its place"
        ) from None


def told(error: Exception) -> str:
    """The reason why a request failed, on one line."""
    answer: httpx.Response | None = getattr(error, "response", None)
    if answer is not None:
        return f"the API answered {answer.status_code} {answer.reason_phrase}"
    return next(iter(str(error).splitlines()), type(error).__name__)


def moving_bar(files: Iterable[tuple[Any, Any]], baselines: str) -> list[str]:
    """The files of a change that move the bar: baselines, changed tolerances, and skipped or removed cases.

    Args:
        files: the name and the patch of each file, from the API; only the first ``MOST_FILES`` are examined.
        baselines: the folder of the baselines.
    """
    looked = ((str(name), str(patch or "")) for name, patch in islice(files, MOST_FILES))
    return [name for name, patch in looked if name.startswith(f"{baselines}/") or moves(name, patch)]
