"""The page's text and data; how it behaves in a browser is in ``test_browser``."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from perfgate.records.runfile import read
from perfgate.reports.page.content import content_of
from tests.support.pages import HOSTILE, data_of, dry, full_run, verdict, write_page
from tests.support.runs import CASE, OTHER_CASE, noisy_launches, perfgate, workload_line, write_run

REFERENCE = {"name": "main", "commit": "fedcba9876543210", "software": {"torch": "2.12.0"}, "moved": {}}


def test_the_headline_names_the_change_and_both_values(tmp_path: Path) -> None:
    text = write_page(tmp_path, full_run(reference=REFERENCE)).read_text(encoding="utf-8")
    told = re.search(r"<h1[^>]*>.*?<bdi>(.*?)</bdi></h1>", text, re.DOTALL)
    assert told is not None
    assert told[1] == (
        "1 of 4 cases got worse than reference main: step_time_s of test_batch_size[gpt2-quick-8] got worse by +30.0%, "
        "from 20 ms to 26 ms."
    )


def test_the_sides_differ_in_what_is_known_of_both(tmp_path: Path) -> None:
    text = write_page(tmp_path, full_run(reference=REFERENCE)).read_text(encoding="utf-8")
    differing = text.partition("What differs between the sides")[2].partition("</table>")[0]
    assert re.findall(r"<th scope=\"row\">(.*?)</th><td><bdi>(.*?)</bdi></td><td><b><bdi>(.*?)</bdi>", differing) == [
        ("torch", "2.12.0", "2.13.0")
    ]
    assert "fedcba9876..0123456789" in text


def test_a_run_that_decided_nothing_does_not_look_fine(tmp_path: Path) -> None:
    new = [verdict(CASE, "step_time_s", "new"), verdict(OTHER_CASE, "step_time_s", "new")]
    text = write_page(tmp_path, [*full_run()[:1], workload_line(CASE), *noisy_launches(1), *new]).read_text()
    assert '<h1 class="headline unsure">' in text
    assert "Nothing was decided: 2 of 2 cases are new: nothing is stored to hold them against." in text
    assert "No time was held against another" in text


def test_a_first_run_tells_what_was_held_against_something_and_how_to_store_the_rest(tmp_path: Path) -> None:
    lines = [verdict(CASE, "step_time_s", "new"), verdict(CASE, "flops", "pass", change=0.0)]
    text = write_page(tmp_path, [*full_run()[:1], workload_line(CASE), *noisy_launches(1), *lines]).read_text()
    assert (
        "1 of 1 case has metrics that are new: nothing is stored for them. "
        "1 other metric got no worse than the stored baseline."
    ) in text
    assert "To store what is new, run the same command with --perf-update new." in text


def test_an_undecided_case_stands_in_the_headline(tmp_path: Path) -> None:
    lines = [
        *full_run()[:1],
        workload_line(CASE),
        verdict(CASE, "step_time_s", "inconclusive", change=0.02, tolerance=0.03),
        workload_line(OTHER_CASE),
        verdict(OTHER_CASE, "step_time_s", "pass", change=0.0, tolerance=0.03),
    ]
    text = write_page(tmp_path, lines).read_text(encoding="utf-8")
    assert "Nothing was shown to be worse than the stored baseline, but 1 of 2 cases is undecided." in text


def test_a_failed_case_has_the_commands_that_measure_and_accept_it(tmp_path: Path) -> None:
    message = f"{CASE}: worse\nAccept it with: ci/perf 'a b' --perf-update all --perf-reason WHY"
    text = write_page(tmp_path, full_run(text=message)).read_text(encoding="utf-8")
    assert re.findall(r'data-copy="(.*?)"', text)[:2] == [
        "ci/perf &#39;a b&#39;",
        "ci/perf &#39;a b&#39; --perf-update all --perf-reason WHY",
    ]


def test_against_a_reference_the_change_is_accepted_by_case_and_metric(tmp_path: Path) -> None:
    options = {"root": "perf_tests", "device": "cpu", "reference": "main", "tier": "quick", "default_tier": "smoke"}
    text = write_page(tmp_path, full_run(options=options, command="ci/perf")).read_text(encoding="utf-8")
    again, accept = (line.replace("&#39;", "'") for line in re.findall(r'data-copy="(.*?)"', text)[:2])
    assert again == f"ci/perf 'perf_tests/{CASE}' --perf-device cpu --perf-tier quick --perf-ref main"
    assert accept.startswith(f"{again} --perf-accept '{CASE}:step_time_s:+")


def test_behind_a_row_stand_both_sides(tmp_path: Path) -> None:
    found = data_of(write_page(tmp_path, full_run()).read_text(encoding="utf-8"))["details"][CASE]
    assert found["memory"]["before"] == {"weights": 4096, "activations": 1024}
    assert found["memory"]["now"] == {"weights": 4096, "activations": 2048}
    assert found["groups"]["before"]["contractions"] == [4, 1000, 4096]
    places = {table["metric"]: table["rows"] for table in found["places"]}
    assert places["predicted_peak_bytes"] == [["h.0.mlp", "activations", 1024, 1]]
    assert found["types"]["upcasts"] == ["Upcast: h.0.mlp converts bfloat16 to float32, +1 a step."]
    assert found["types"]["operators"] == [["mul of bfloat16", 4, 3], ["mul of float32", 0, 1]]
    assert found["types"]["conversions"]["rows"] == [["h.0.mlp", "bfloat16 to float32", 1, 1]]
    assert sum(launch["side"] == "reference" and launch["pass"] == "time" for launch in found["launches"]) == 5


def test_a_ratio_to_vanilla_of_a_time_has_an_interval(tmp_path: Path) -> None:
    tables = data_of(write_page(tmp_path, full_run()).read_text(encoding="utf-8"))["techniques"]
    row = next(row for table in tables for row in table["rows"] if row["case"] == CASE)
    centre, low, high = row["ratios"]["step_time_s"]
    assert low < centre < high
    assert row["ratios"]["peak_memory_bytes"] == [1.0, 1.0, 1.0]


def test_the_policy_names_every_script_and_style(tmp_path: Path) -> None:
    text = write_page(tmp_path, full_run()).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)
    assert policy is not None
    inside = re.findall(r"<script>(.*?)</script>", text, re.DOTALL) + re.findall(
        r"<style>(.*?)</style>", text, re.DOTALL
    )
    digests = {base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in inside}
    assert set(re.findall(r"sha256-(.*?)&#39;", policy[1])) == digests
    assert policy[1].startswith("default-src &#39;none&#39;; script-src")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.slice
def test_hostile_text_stays_text(text: str, tmp_path: Path) -> None:
    made = write_page(tmp_path, full_run(f"training/test_x.py::test_x[{text}]", text)).read_text(encoding="utf-8")
    plain = write_page(tmp_path, full_run()).read_text(encoding="utf-8")
    for tag in ("<script", "</script", "<img", "<style"):
        assert made.count(tag) == plain.count(tag)
    assert text in data_of(made)["cases"][0]["id"]


def test_above_a_thousand_cases_those_that_passed_have_no_details(tmp_path: Path) -> None:
    lines = full_run()
    for number in range(1001):
        case = f"many/test_many.py::test_many[{number}]"
        lines += [workload_line(case, model="m"), dry(case), verdict(case, "flops", "pass", change=0.0)]
    write_page(tmp_path, lines)
    assert list(content_of(read(tmp_path / "run.jsonl"))["details"]) == [CASE]


def test_a_comparison_of_two_runs_is_the_same_page(tmp_path: Path) -> None:
    base = write_run(tmp_path / "base.jsonl", [workload_line(CASE), *noisy_launches(1)], run_id="old")
    head = write_run(tmp_path / "head.jsonl", [workload_line(CASE), *noisy_launches(2, typical_s=0.04)], run_id="new")
    made = tmp_path / "page.html"
    done = perfgate("compare", base, head, "--format", "html", "--output", made)
    assert done.returncode == 1, done.stderr
    text = made.read_text(encoding="utf-8")
    assert "The only case got worse than run old: step_time_s of test_batch_size[gpt2-quick-8] got worse by" in text
    assert {launch["side"] for launch in data_of(text)["details"][CASE]["launches"]} == {"candidate", "reference"}


def test_two_runs_are_no_page(tmp_path: Path) -> None:
    base = write_run(tmp_path / "base.jsonl", [workload_line(CASE), *noisy_launches(1)])
    done = perfgate("report", base, base, "--format", "html")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a page shows one run, or two of them with: perfgate compare BASE HEAD --format html" in done.stderr
