"""What GitHub and GitLab have in common: a change under review, and requests that end in a sentence."""

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
    """There is not exactly one open change with the commit that was measured."""


@dataclass(frozen=True)
class Change:
    """A pull request, or merge request, that is open.

    Attributes:
        number: of it, in its project.
        commit: its head.
    """

    number: int
    commit: str


class Forge(Protocol):
    """One of the two."""

    def change(self) -> Change:
        """The one open change whose head was measured.

        Raises:
            NothingToSay: there is none, or more than one.
        """
        ...

    def moves_bar(self, change: Change, baselines: str) -> list[str]:
        """Files of the change that move what its code is held against: baselines, and tolerances."""
        ...

    def publish(self, change: Change, text: str, marker: str) -> str:
        """Update the comment that begins with the marker, or write a first one; returns what was done."""
        ...

    def download(self, artifact: str, folder: Path) -> Path:
        """The artifact of the run that measured, within a limit of size."""
        ...


class Client:
    """Requests to one API.

    Args:
        base: its address.
        headers: for every request, the token among them.
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
            UserError: it cannot be had.
        """
        try:
            answer = self._http.request(method, path, **more)
            answer.raise_for_status()
            return load_json(answer.content)
        except (self._httpx.HTTPError, ValueError) as error:
            raise UserError(f"{method} {path}: {told(error)}") from None

    def pages(self, path: str, **params: Any) -> Iterator[Any]:
        """The items of a list over all its pages."""
        for page in range(1, MOST_PAGES + 1):
            found = self.ask("GET", path, params={**params, "per_page": PER_PAGE, "page": page})
            items: Sequence[Any] = found if isinstance(found, list) else []
            yield from items
            if len(items) < PER_PAGE:
                return

    def save(self, path: str, target: Path) -> Path:
        """Write what an address gives into a file.

        Raises:
            UserError: it cannot be had, or is too large.
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
    """Within the block, or in a function decorated so, an answer of another shape than the API's ends in a sentence.

    Args:
        name: of the forge.

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
    """Why a request failed, on one line."""
    answer: httpx.Response | None = getattr(error, "response", None)
    if answer is not None:
        return f"the API answered {answer.status_code} {answer.reason_phrase}"
    return next(iter(str(error).splitlines()), type(error).__name__)


def moving_bar(files: Iterable[tuple[Any, Any]], baselines: str) -> list[str]:
    """The files of a change that lie below the baselines, change a tolerance, or skip or remove a case.

    Args:
        files: the name and the patch of each, as the API tells them; those beyond ``MOST_FILES`` are not looked at.
        baselines: the folder.
    """
    looked = ((str(name), str(patch or "")) for name, patch in islice(files, MOST_FILES))
    return [name for name, patch in looked if name.startswith(f"{baselines}/") or moves(name, patch)]
