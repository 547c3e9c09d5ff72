"""Draws what two pull requests show, a slower and a refactored one: python docs/pull_request.py FOLDER

It makes an example repository, runs the command of ci/templates/github-actions.yml in the merge of each pull request,
and draws the check, the marked line and the comment as plain HTML, photographed by Chromium, which ci/browser-setup
brings. It is no picture of GitHub's own page.
"""

import os
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.ci.test_templates import CASE, CHANGES, PROGRAM
from tests.support.browser import CHROMIUM
from tests.support.repositories import commit, git

COMMAND = ["-m", "pytest", "perf_tests", "--perf-device", "none", "--perf-ref", "HEAD^1", "-p", "no:benchmark"]
STYLE = """
body { font: 15px/1.5 sans-serif; margin: 0; padding: 20px; width: 880px; color: #1f2328; background: #fff }
.box { border: 1px solid #d0d7de; border-radius: 6px; padding: 4px 16px; margin-bottom: 14px; overflow: hidden }
.red { border-left: 6px solid #cf222e } .green { border-left: 6px solid #1a7f37 }
table { border-collapse: collapse; font-size: 13px }
td, th { border: 1px solid #d0d7de; padding: 3px 9px; text-align: left }
code { background: #eff1f3; padding: 1px 4px; border-radius: 4px; font-size: 12px }
"""


def example(folder: Path) -> Path:
    """A repository with one model and one case."""
    (folder / "perf_tests").mkdir(parents=True)
    (folder / "models.py").write_text(PROGRAM)
    (folder / "perf_tests" / "test_layers.py").write_text(CASE)
    (folder / "pytest.ini").write_text("[pytest]\nperf_env = installed\n")
    (folder / ".gitignore").write_text("perf_output/\n__pycache__/\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "a model")
    return folder


def pull_request(folder: Path, change: str) -> str:
    """What the merge of a pull request gives, as HTML."""
    old, new = CHANGES[change]
    git(folder, "checkout", "-q", "-b", change, "main")
    path = folder / "models.py"
    path.write_text(path.read_text().replace(old, new))
    commit(folder, change)
    git(folder, "checkout", "-q", "--detach", "main")
    git(folder, "merge", "-q", "--no-ff", "-m", f"merge {change}", change)
    output = folder / "perf_output" / change
    environment = {**os.environ, "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(folder)}
    ran = subprocess.run(
        [sys.executable, *COMMAND, "--perf-output", str(output)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    dry = [sys.executable, "-m", "perfgate", "comment", str(output), "--dry"]
    comment = subprocess.run(dry, cwd=folder, capture_output=True, text=True, check=True).stdout
    marked = [line.removeprefix("::error ") for line in ran.stdout.splitlines() if line.startswith("::error ")]
    return drawn(ran.returncode, marked, comment)


def drawn(code: int, marked: list[str], comment: str) -> str:
    """The check, the marked lines of the diff, and the comment."""
    color, said = ("red", "failed") if code else ("green", "passed")
    boxes = [f'<div class="box {color}"><p><b>performance / exact metrics</b>: {said}</p></div>']
    for line in marked:
        place, _, text = line.partition("::")
        where = dict(part.split("=", 1) for part in place.split(","))
        head = f"<b>{escape(where['file'])}, line {escape(where['line'])}</b>"
        boxes.append(f'<div class="box red"><p>{head}<br>{escape(text.replace("%25", "%"))}</p></div>')
    boxes.append(f'<div class="box">{MarkdownIt("commonmark").enable("table").render(comment)}</div>')
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(boxes)}"


def main(target: Path) -> None:
    """Draw both."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        repository = example(Path(folder) / "example")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 920, "height": 200}, device_scale_factor=1.5)
        for change, name in (("slower", "pull-request-red.png"), ("refactored", "pull-request-green.png")):
            page.set_content(pull_request(repository, change))
            page.screenshot(path=str(target / name), full_page=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
