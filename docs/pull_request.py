"""Draws what a slower and a refactored change show on three CI systems: python docs/pull_request.py FOLDER

It makes an example repository, runs the commands of the templates for GitHub, GitLab and Buildkite in a clone for each
change, and draws what they printed and posted as plain HTML, photographed by Chromium, which ci/browser-setup brings.
GitLab's comment is the one that a server on this machine got. The pictures are none of the systems' own pages.
"""

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from markdown_it import MarkdownIt
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.browser import CHROMIUM
from tests.support.forge import Forge, serving
from tests.support.layers import CHANGES, SHELL, changed, make
from tests.support.pipelines import TEMPLATES, buildkite, gitlab, run, scripts
from tests.support.repositories import git
from tests.support.workflow import run_job

WORKFLOW = ".github/workflows/performance.yml"
BASE = "github.event.merge_group.base_sha || 'HEAD^1'"
COLORS = {"slower": "red", "refactored": "green"}
SHADES = 64
STYLE = """
body { font: 15px/1.5 sans-serif; margin: 0; padding: 20px; width: 880px; color: #1f2328; background: #fff }
.box { border: 1px solid #d0d7de; border-radius: 6px; padding: 4px 16px; margin-bottom: 14px; overflow: hidden }
.red { border-left: 6px solid #cf222e } .green { border-left: 6px solid #1a7f37 }
table { border-collapse: collapse; font-size: 13px }
td, th { border: 1px solid #d0d7de; padding: 3px 9px; text-align: left }
code { background: #eff1f3; padding: 1px 4px; border-radius: 4px; font-size: 12px }
pre { white-space: pre-wrap; font-size: 12px; margin: 4px 0 }
"""


def on_github(clone: Path, change: str, _: Path) -> Iterator[str]:
    """The check, the lines that it marks in the diff, and the comment."""
    git(clone, "checkout", "-q", "--detach", "main")
    git(clone, "merge", "-q", "--no-ff", "-m", f"merge {change}", change)
    told = SHELL | {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(clone), "GITHUB_BASE_REF": "main"}
    ran = run_job(clone / WORKFLOW, clone, {BASE: "HEAD^1"}, told)
    yield check("performance / exact metrics", failed=bool(ran.failed))
    for line in ran.output.splitlines():
        if line.startswith("::error "):
            place, _, text = line.removeprefix("::error ").partition("::")
            where = dict(part.split("=", 1) for part in place.split(","))
            head = f"<b>{escape(where['file'])}, line {escape(where['line'])}</b>"
            yield box(f"<p>{head}<br>{escape(text.replace('%25', '%'))}</p>", "red")
    yield markdown(run(["perfgate comment perf_output --dry"], clone, {}).stdout)


def on_gitlab(clone: Path, _: str, __: Path) -> Iterator[str]:
    """The job, the failed cases of the test report, and the comment that was posted."""
    with serving(Forge()) as forge:
        measured, _ = gitlab(clone, forge)
    yield check("exact metrics", failed=bool(measured.returncode))
    report = ElementTree.parse(clone / "perf_output" / "junit.xml")
    cases = report.findall(".//testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    yield box(f"<p><b>Test summary</b>: {len(failed)} failed, {len(cases)} total</p>", "red" if failed else "green")
    for case in failed:
        text = case.find("failure").text
        yield box(f"<p><b>{escape(case.get('name'))}</b></p><pre>{escape(text)}</pre>", "red")
    for comment in forge.comments:
        yield markdown(comment["body"])


def on_buildkite(clone: Path, _: str, folder: Path) -> Iterator[str]:
    """The shards, the verdict, and the annotation."""
    shards, verdict = buildkite(clone, folder)
    style = (folder / "store" / "annotated").read_text().split()[-1]
    yield markdown((folder / "store" / "annotation.md").read_text(), {"error": "red", "success": "green"}[style])
    for number, shard in enumerate(shards, 1):
        yield check(f"shard {number}", failed=bool(shard.returncode))
    yield check("one verdict", failed=bool(verdict.returncode))


def check(name: str, failed: bool) -> str:
    """A job and how it ended."""
    return box(f"<p><b>{name}</b>: {'failed' if failed else 'passed'}</p>", "red" if failed else "green")


def markdown(text: str, color: str = "") -> str:
    """A comment as the systems show it."""
    return box(MarkdownIt("commonmark").enable("table").render(text), color)


def box(html: str, color: str = "") -> str:
    """A part of the page."""
    return f'<div class="box {color}">{html}</div>'


SYSTEMS: dict[str, Callable[[Path, str, Path], Iterator[str]]] = {
    "pull-request": on_github, "merge-request": on_gitlab, "buildkite": on_buildkite,
}  # fmt: skip


def main(target: Path) -> None:
    """Draw all of them."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        files = {WORKFLOW: (TEMPLATES / "github-actions.yml").read_text()}
        repository = make(folder / "example", scripts() | files)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 920, "height": 200}, device_scale_factor=1.5)
        for system, shown in SYSTEMS.items():
            for change in CHANGES:
                place = folder / system / change
                place.mkdir(parents=True)
                boxes = shown(changed(repository, place / "clone", change), change, place)
                page.set_content(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(boxes)}")
                picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
                # Text on a plain ground needs few colours, and the page loads sooner.
                picture.quantize(SHADES).save(target / f"{system}-{COLORS[change]}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
