"""The page in a real browser, headless Chromium, from a file: what one does with it, and that nothing else happens."""

import gzip
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfgate.history.points import Point, Run
from perfgate.history.store import Store
from tests import ROOT
from tests.support.browser import CHROMIUM
from tests.support.browser import LACKING as BROWSER_LACKS
from tests.support.pages import HOSTILE, TRACE_FILE, dry, full_run, verdict, write_page
from tests.support.runs import CASE, OTHER_CASE, perfgate, workload_line

AXE = Path(sys.prefix) / "share" / "perfgate-axe" / "axe.min.js"
LACKING = [*BROWSER_LACKS, *([] if AXE.is_file() else ["axe-core"])]
pytestmark = [
    pytest.mark.slice,
    pytest.mark.browser,
    pytest.mark.skipif(bool(LACKING), reason=f"no {' and no '.join(LACKING)} here; bring it with: ci/browser-setup"),
]


@dataclass
class Opened:
    """A page in a tab, with everything that the browser complained about, and every address that was asked for."""

    tab: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def rows(self) -> list[str]:
        """The ids of the cases that are shown."""
        return list(self.tab.locator("#cases .toggle .id").all_inner_texts())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Open the page of a run with these lines; at the end nothing was complained about or asked for."""
    opened: list[Opened] = []

    def go(lines: list[dict[str, Any]], fragment: str = "", **settings: Any) -> Opened:
        path = write_page(tmp_path, lines)
        found = Opened(browser.new_page(reduced_motion="reduce", **settings))
        found.tab.on("console", lambda message: found.complaints.append(message.text))
        found.tab.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.tab.on("request", lambda request: found.requests.append(request.url))
        found.tab.goto(f"{path.as_uri()}{fragment}")
        found.tab.wait_for_selector("html[data-ready=yes]")
        opened.append(found)
        return found

    yield go
    for found in opened:
        assert found.complaints == []
        assert [url.partition("#")[0] for url in found.requests] == [(tmp_path / "run.html").as_uri()]
        found.tab.close()


def violations(tab: Any) -> list[Any]:
    """What axe-core finds; it comes in through the debugger, because the page's policy lets no script in."""
    session = tab.context.new_cdp_session(tab)
    session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    run = (
        "axe.run().then(found => found.violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 200))]))"
    )
    answer = session.send("Runtime.evaluate", {"expression": run, "awaitPromise": True, "returnByValue": True})
    assert "exceptionDetails" not in answer
    found: list[Any] = answer["result"]["value"]
    return found


def test_failed_cases_come_first_and_a_title_sorts(visit: Any) -> None:
    page = visit(full_run())
    assert page.rows()[0] == CASE
    page.tab.get_by_role("button", name="Case").first.click()
    up = page.rows()
    # Numbers within ids are sorted as numbers: 8 comes before 16.
    assert up.index(CASE) == 1
    assert up.index(OTHER_CASE) == 2
    page.tab.get_by_role("button", name="Case").first.click()
    assert page.rows() == up[::-1]
    assert page.tab.locator("#cases th[aria-sort=descending]").inner_text().startswith("Case")


def test_search_and_filters_are_in_the_address(visit: Any) -> None:
    page = visit(full_run())
    page.tab.fill("#q", "quick-16")
    assert page.rows() == [OTHER_CASE]
    page.tab.fill("#q", "")
    page.tab.select_option("#verdict", "regressed")
    assert page.rows() == [CASE]
    assert page.tab.evaluate("location.hash") == "#verdict=regressed"
    assert page.tab.inner_text("#shown") == "1 of 4"


def test_a_link_shows_what_one_saw(visit: Any) -> None:
    page = visit(
        full_run(),
        "#q=quick&sort=-step_time_s&open=training%2Ftest_batch_size.py%3A%3Atest_batch_size%5Bgpt2-quick-8%5D",
    )
    assert page.rows() == [CASE, OTHER_CASE]
    assert page.tab.locator("tr.behind").count() == 1
    assert page.tab.input_value("#q") == "quick"


def test_a_damaged_link_still_opens_the_page(visit: Any) -> None:
    page = visit(full_run(), "#q=100%&sort=%zz")
    assert page.tab.input_value("#q") == "100%"


def test_a_row_opens_by_keyboard_and_shows_what_is_behind_it(visit: Any) -> None:
    page = visit(full_run())
    row = page.tab.locator("#cases .toggle").first
    row.focus()
    page.tab.keyboard.press("Enter")
    assert row.get_attribute("aria-expanded") == "true"
    panel = page.tab.locator("tr.behind")
    titles = panel.locator("h3").all_inner_texts()
    assert titles == [
        "Verdicts",
        "Launches",
        "Steps",
        "Memory",
        "Operators",
        "Modules",
        "Data types",
        "Settings",
        "Traces",
        "Raw numbers",
    ]
    assert panel.locator(".launches .dot.reference").count() == panel.locator(".launches .dot.candidate").count() > 4
    bars = panel.locator(".stacked").all_inner_texts()
    assert [" ".join(bar.split()) for bar in bars] == [
        "before 5.00 KiB",
        "now 6.00 KiB",
        *["before 4.06 KiB", "now 4.06 KiB"],
        *["before 5.00 KiB", "now 6.00 KiB"],
    ]
    widths = [piece.bounding_box()["width"] for piece in panel.locator(".part.weights").all()]
    assert max(widths) - min(widths) < 1, "equal weights are equally wide in all bars"
    assert panel.locator(".bin.reference").count() > 1
    assert panel.locator(".bin.candidate").count() > 1
    assert panel.locator(".steps canvas").count() == 1
    page.tab.keyboard.press("Enter")
    assert page.tab.locator("tr.behind").count() == 0


def test_a_command_is_copied(visit: Any) -> None:
    page = visit(full_run(text="worse\nAccept it with: ci/perf 'a b' --perf-update all --perf-reason WHY"))
    page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.tab.locator("button.copy").first.click()
    page.tab.get_by_text("Copied").wait_for()
    assert page.tab.evaluate("navigator.clipboard.readText()") == "ci/perf 'a b'"


def test_the_pictures_of_the_readme_are_made_from_a_run(visit: Any, tmp_path: Path) -> None:
    visit(full_run())
    command = [sys.executable, ROOT / "docs" / "picture.py", tmp_path / "pictures", tmp_path / "run.jsonl"]
    subprocess.run(command, check=True)
    light, dark = (tmp_path / "pictures" / f"report-{scheme}.png" for scheme in ("light", "dark"))
    assert light.read_bytes() != dark.read_bytes()
    for path in (light, dark, *(ROOT / "docs" / "pictures").glob("report-*.png")):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 200_000


def test_a_trace_opens_by_its_name_from_a_failed_case_and_from_behind_its_row(visit: Any, tmp_path: Path) -> None:
    (tmp_path / TRACE_FILE).parent.mkdir()
    (tmp_path / TRACE_FILE).write_bytes(held := gzip.compress(b"{}"))
    page = visit(full_run(), f"#open={CASE}")
    for place in (".failure", ".panel"):
        with page.tab.expect_download() as saved:
            page.tab.locator(f"{place} a", has_text=Path(TRACE_FILE).name).click()
        assert Path(saved.value.path()).read_bytes() == held
        assert page.requests.pop() == (tmp_path / TRACE_FILE).as_uri()
    assert "before: none, grown: h.0.mlp" in page.tab.locator(".panel").inner_text()


def test_a_limit_is_dragged_and_moved_by_keys(visit: Any) -> None:
    lines = full_run()
    for line in lines:
        if line.get("kind") == "workload":
            line["model"] = "gpt2"
        if line.get("side") == "candidate" and "step_time_s" in line.get("metrics", ()):
            samples = 8 if line["case"] == CASE else 4
            line["metrics"]["samples_per_s"] = [samples / step for step in line["metrics"]["step_time_s"]]
            line["metrics"]["peak_memory_bytes"] *= samples / 4
            line["workload"] = line["workload"] if line["case"] == CASE else "b" * 64
    page = visit(lines)
    answer = page.tab.locator(".answer")
    before = answer.inner_text()
    assert "batch_size=8" in before
    picture = page.tab.locator("svg.pareto")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    at = box["x"] + box["width"] * 860 / 900, box["y"] + box["height"] * 150 / 360
    page.tab.mouse.move(*at)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] * 600 / 900, at[1], steps=4)
    page.tab.mouse.up()
    assert "batch_size=4" in answer.inner_text()
    names = page.tab.locator("svg.pareto text.name").all_text_contents()
    assert {name.partition(",")[0] for name in names} == {"batch_size=8", "batch_size=4 (vanilla)"}
    page.tab.locator(".limit-step").focus()
    page.tab.keyboard.press("Home")
    assert answer.inner_text().startswith("No setting takes at most ")
    page.tab.keyboard.press("End")
    page.tab.locator(".limit-memory").focus()
    page.tab.keyboard.press("Home")
    assert answer.inner_text().startswith("No setting takes at most 0 B")


def test_dark_mode_follows_the_system_and_the_button(visit: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = visit(full_run(), color_scheme="dark")
    light = visit(full_run(), color_scheme="light")
    night, day = dark.tab.evaluate(colour), light.tab.evaluate(colour)
    assert night != day
    dark.tab.click("#theme")
    assert dark.tab.evaluate(colour) == day


def test_paper_is_light_and_holds_failed_cases_with_everything_unfolded(visit: Any) -> None:
    worse = {"change": 0.2, "low": 0.2, "high": 0.2}
    names = ("flops", "moved_bytes", "python_calls", "leaked_bytes")
    lines = [*many_cases(250), *(verdict(CASE, name, "regressed", reference=5, candidate=6, **worse) for name in names)]
    page = visit(lines, color_scheme="dark")
    page.tab.evaluate("""() => {
      const folded = () => document.querySelectorAll(".failure details:not([open])").length;
      window.told = { screen: folded() };
      window.addEventListener("beforeprint", () => {
        window.told.paper = folded();
        window.told.rows = document.querySelectorAll("#cases .toggle").length;
      });
    }""")
    assert page.tab.pdf().startswith(b"%PDF")
    assert page.tab.evaluate("window.told") == {"screen": 1, "paper": 0, "rows": 254}
    assert page.tab.locator(".failure details:not([open])").count() == 1
    page.tab.emulate_media(media="print")
    assert page.tab.locator("nav").is_hidden()
    ids = page.tab.locator("#cases .id").all()[:3]
    assert all(one.evaluate("one => one.scrollHeight <= one.clientHeight || !one.clientHeight") for one in ids)
    dark = "getComputedStyle(document.documentElement).getPropertyValue('--ink')"
    paper = page.tab.evaluate(dark)
    page.tab.emulate_media(media="screen")
    assert page.tab.evaluate(dark) != paper


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(scheme: str, width: int, visit: Any) -> None:
    page = visit(full_run(), color_scheme=scheme, viewport={"width": width, "height": 800})
    page.tab.locator("#cases .toggle").first.click()
    page.tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(page.tab) == []
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_changes_nothing(text: str, visit: Any) -> None:
    page = visit(full_run(f"training/test_x.py::test_x[{text}]", text), viewport={"width": 390, "height": 800})
    assert page.tab.title().startswith("Perfgate run")
    page.tab.locator("#cases .toggle").first.click()
    assert page.tab.locator("tr.behind").count() == 1
    assert text in page.tab.locator("#cases .toggle .id").first.text_content()
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.tab.locator("img").count() == 0
    page.tab.locator("a.more").first.click()
    assert page.tab.locator("tr.behind").count() == 1


def many_cases(count: int) -> list[dict[str, Any]]:
    """The full run with so many cases more."""
    lines = full_run()
    for number in range(count):
        case = f"many/test_many.py::test_many[{number}]"
        lines += [workload_line(case, model="m"), dry(case), verdict(case, "flops", "pass", change=0.0)]
    return lines


def test_large_data_is_compressed_and_built_where_it_is_looked_at(visit: Any) -> None:
    page = visit(many_cases(2500))
    assert page.tab.get_attribute("#data", "data-form") == "gzip"
    rows = page.tab.locator("#cases .toggle")
    rows.nth(199).wait_for()
    assert rows.count() == 200
    page.tab.get_by_role("button", name="Show more of the other 2,304").click()
    rows.nth(1199).wait_for()
    assert rows.count() == 1200
    page.tab.fill("#q", "test_many[2499]")
    assert page.rows() == ["many/test_many.py::test_many[2499]"]
    technique = page.tab.locator("#tables > details", has_text="many / batch_size")
    assert technique.locator("tr").count() == 0
    technique.locator("summary").click()
    technique.locator("tr").nth(2500).wait_for(state="attached")


def test_a_small_table_is_whole_and_a_link_opens_a_row_far_down(visit: Any) -> None:
    page = visit(many_cases(300), "#open=many/test_many.py::test_many[250]")
    assert page.tab.locator("tr.open .id").inner_text() == "many/test_many.py::test_many[250]"
    page.tab.locator("#cases .toggle").nth(303).wait_for()
    assert page.tab.locator("#more").is_hidden()
    assert page.tab.locator("#tables tr").count() > 300


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of 40 runs and the page of what moved: a time and a count move, libraries change, one is accepted."""
    folder = tmp_path_factory.mktemp("history")
    store, files = Store(str(folder / "history")), folder / "runs"
    files.mkdir()
    generator = random.Random(0)
    for number in range(40):
        software = json.dumps({"torch": "2.13.0" if number < 30 else "2.14.0"})
        created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        time_s = 0.02 * (1.1 if number >= 20 else 1) * math.exp(generator.gauss(0, 0.01))
        told = f"Ada: {HOSTILE['an end of the script']}" if number == 20 else ""
        points = [
            Point("training/test_batch_size.py::test_it[8]", "step_time_s", time_s, time_s * 100, 3, told),
            Point("inference/test_kv_cache.py::test_it", "operator_calls", 100 + 5 * (number >= 30), None, 1, ""),
        ]
        store.add(Run(f"run-{number}", created, "cpu-test", f"{number:040x}", software), points)
        (files / f"run-{number}.jsonl").touch()
        (files / f"run-{number}.html").touch()
    page = folder / "history.html"
    page.write_text(
        perfgate("history", "changes", "--from", store.url, "--runs", files, "--format", "html").stdout, "utf-8"
    )
    return page


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_history(scheme: str, width: int, browser: Any, history: Path) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    tab = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(history.as_uri())
    tab.wait_for_selector("html[data-ready=yes]")
    tab.get_by_role("button", name="test_it[8]").first.click()
    assert tab.locator("#picture canvas").count() == 1
    rows = tab.locator("#events tbody tr").all_inner_texts()
    assert [row.split()[2] for row in rows] == ["libraries", "change", "accepted"]
    assert HOSTILE["an end of the script"] in rows[2]
    assert "perfgate compare" in rows[1]
    links = [link.get_attribute("href") for link in tab.locator("#events a").all()]
    assert links == [(history.parent / "runs" / f"run-{number}.html").as_uri() for number in (19, 20)]
    assert tab.locator("#multiples h3").all_inner_texts() == ["inference/kv cache", "training/batch size"]
    assert tab.locator("#slowest tbody tr").count() == 2
    tab.fill("#since", "2026-01-25")
    assert ["operator_calls" in row for row in tab.locator("#slowest tbody tr").all_inner_texts()] == [True]
    assert violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    assert asked == [history.as_uri()]
    tab.close()
