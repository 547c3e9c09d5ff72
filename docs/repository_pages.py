"""A hook of mkdocs: files of the repository that lie outside of docs/ become pages of the site (mkdocs.yml).

README.md and its neighbours are pages like any other. A file or a folder that a page links to is shown as code, so that
a link leads to the same text offline as in the repository. A link to anything larger becomes text without a link.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Pages of the site, by their path in the repository.
TOP = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "report-a-weakness.md",
}
SHOWN = "repository/"  # where the pages are that show a file or a folder
LARGEST_BYTES = 64 * 1024
MADE = {"__pycache__", ".pytest_cache", "perf_output"}  # folders that runs leave in examples
LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml", ".json": "json"}
# How far up a search puts a page, by the beginning of its path: an explanation before figures.
BOOSTS = {"glossary": 4, "verified/": 0.5, "changelog": 0.5}
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?!https?://|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the root of the repository, and those that show what the pages link to."""
    for path, uri in TOP.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text()))
    for file in list(files.documentation_pages()):
        for target in links(file.content_string, path_of(file.src_uri)):
            uri = SHOWN + target + ".md"
            if page_of(target, files) is None and (text := shown(ROOT / target)):
                files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links of a page, which are made for the repository, lead to pages of the site."""
    here = page.file.src_uri
    if here.startswith(SHOWN):
        return markdown
    for beginning, boost in BOOSTS.items():
        if here.startswith(beginning):
            page.meta["search"] = {"boost": boost}
    return replaced(markdown, here, files)


def replaced(markdown: str, here: str, files: Files) -> str:
    """The text of a page with links that hold in the site."""

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], joined(path_of(here), found[2]), found[3] or ""
        uri = page_of(target, files)
        if uri is None:
            return found[0] if not (ROOT / target).exists() else text.strip("[]")
        return f"{text}({posixpath.relpath(uri, posixpath.dirname(here))}{anchor})"

    return LINK.sub(link, markdown)


def links(markdown: str, path: str) -> Iterator[str]:
    """Paths in the repository of the files and folders that a page links to."""
    for found in LINK.finditer(markdown):
        target = joined(path, found[2])
        if (ROOT / target).exists():
            yield target


def path_of(uri: str) -> str:
    """The path in the repository of a page of the site."""
    return next((path for path, page in TOP.items() if page == uri), "docs/" + uri)


def joined(path: str, target: str) -> str:
    """The path in the repository of what a link names, seen from the file at a path."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def page_of(target: str, files: Files) -> str | None:
    """The page or picture of the site that shows a path of the repository; ``None`` if there is none."""
    inside = target.removeprefix("docs/") if target.startswith("docs/") else None
    for uri in filter(None, (TOP.get(target), inside, f"{SHOWN}{target}.md")):
        file = files.get_file_from_path(uri)
        if file is not None and file.inclusion.is_included():
            return uri
    return None


def shown(path: Path) -> str | None:
    """A page with the text of a file, or of all files of a folder; ``None`` for what is too large or no text."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [file for file in inside if file.is_file() and not MADE & set(file.parts)]
    if not found or sum(file.stat().st_size for file in found) > LARGEST_BYTES:
        return None
    parts = [f"---\nsearch:\n  exclude: true\n---\n\n# `{path.relative_to(ROOT)}`\n"]
    for file in found:
        heading = f"\n## `{file.relative_to(path)}`\n" if path.is_dir() else ""
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None
        parts.append(f"{heading}\n~~~~~~{LANGUAGES.get(file.suffix, 'text')}\n{text}\n~~~~~~\n")
    return "".join(parts)
