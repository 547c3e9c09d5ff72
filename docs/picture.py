"""Photographs the page of a run in which GPT-2 was slowed down on purpose: python docs/picture.py FOLDER [RUN]

Without RUN it measures first: a copy of this repository gets a module in which GPT-2 computes its feed-forward part six
more times (docs/demos/slow_forward.py), and is held against its last commit, where that module is empty. Chromium,
which ci/browser-setup brings, shows the head of the page and the first failed case, in light and in dark.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from perfgate.records.runfile import read
from perfgate.reports.page.assemble import page
from perfgate.reports.page.content import content_of
from tests.support.browser import CHROMIUM
from tests.support.repositories import commit

ROOT = Path(__file__).parents[1]
CASES = "(gpt2-quick-4 or gpt2-quick-8 or bert-quick-8 or llama-quick-8) and not accelerate"
COMMAND = ["-m", "pytest", "perf_tests/training/test_batch_size.py", "-p", "no:benchmark", "-k", CASES]
OPTIONS = ["--perf-tier", "quick", "--perf-ref", "HEAD", "--perf-env", "installed", "-o", "perf_preload=blocks"]
WIDTH, HEIGHT = 1000, 1000
COLORS = 192


def recorded(folder: Path) -> Path:
    """The run file of a run with a regression, measured in a copy of this repository."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    (folder / "blocks.py").write_text('"""Changes to blocks of models: none yet."""\n')
    commit(folder, "no change to any block yet")
    shutil.copy(folder / "docs" / "demos" / "slow_forward.py", folder / "blocks.py")
    subprocess.run([sys.executable, *COMMAND, *OPTIONS], cwd=folder, check=False)
    (path,) = (folder / "perf_output").glob("*.jsonl")
    return path


def photographed(html: Path, target: Path, browser: Any) -> None:
    """Photograph a page in light and in dark."""
    for scheme in ("light", "dark"):
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
        tab.goto(html.as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        case = tab.locator(".failure").first
        for more in case.locator("summary").all():
            more.click()
        end = case.bounding_box()
        picture = tab.screenshot(
            full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": end["y"] + end["height"] + 16}
        )
        # Text on a plain ground needs few colours, and the README loads in a third of the time.
        Image.open(io.BytesIO(picture)).quantize(COLORS).save(target / f"report-{scheme}.png", optimize=True)
        tab.close()


def main(target: Path, run: Path | None = None) -> None:
    """Draw both pictures."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        html = Path(folder) / "report.html"
        html.write_text(page(content_of(read(run or recorded(Path(folder) / "copy")))), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        photographed(html, target, browser)
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
