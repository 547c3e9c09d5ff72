"""Settings side by side, by the command: ratios to vanilla, and the settings that no other beats in both."""

import json
from pathlib import Path

import pytest

from perfgate.cli.main import main
from tests.support.runs import launch_line, workload_line, write_run

SETTINGS = {  # step time in seconds and peak memory in bytes
    "a": ({"batch_size": 8}, 0.020, 100),
    "b": ({"batch_size": 4}, 0.020, 80),  # half the samples a second, less memory
    "c": ({"precision": "bf16"}, 0.010, 70),  # beats both
    "d": ({"attention": "eager"}, 0.012, 120),
    "e": ({"optimizer": "sgd"}, 0.016, 60),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Five settings of one model, vanilla among them, and one setting of another."""
    lines = []
    for name, (setting, step_s, peak) in SETTINGS.items():
        case = f"training/test_x.py::test_{name}[gpt2-quick]"
        about = {"workload": name * 64, "setting": setting, "vanilla": "a" * 64}
        metrics = {"step_time_s": [step_s], "samples_per_s": [setting.get("batch_size", 8) / step_s]}
        lines.append(workload_line(case, **about))
        lines.append(launch_line(case, workload=name * 64, metrics={**metrics, "peak_memory_bytes": peak * 10**6}))
    lone = "training/test_x.py::test_lone[bert-quick]"
    lines += [workload_line(lone, workload="f" * 64, model="bert-quick"), launch_line(lone, workload="f" * 64)]
    return write_run(tmp_path / "run.jsonl", lines)


def test_the_front_is_what_no_other_beats_in_both(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-settings", str(run), "--format", "json"]) == 0

    (group,) = json.loads(capsys.readouterr().out).values()
    assert [(row["setting"], row["front"]) for row in group] == [
        ("precision=bf16", True),
        ("attention=eager", False),
        ("optimizer=sgd", True),
        ("batch_size=8", False),
        ("batch_size=4", False),
    ]
    assert group[0]["speed_to_vanilla"] == pytest.approx(2)
    assert group[0]["memory_to_vanilla"] == pytest.approx(0.7)


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv"])
def test_every_format_names_all_settings(form: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-settings", str(run), "--format", form, "--picture", str(run.with_suffix(".svg"))]) == 0

    told = capsys.readouterr().out
    assert all(f"{name}={value}" in told for setting, *_ in SETTINGS.values() for name, value in setting.items())
    assert "bert-quick" not in told
    picture = run.with_suffix(".svg").read_text()
    assert "peak memory in MiB" in picture
    assert all(f">{setting}</text>" in picture for setting in ("precision=bf16", "optimizer=sgd"))
    assert ">attention=eager</text>" not in picture


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--model", "gpt3-quick"], "no two settings of model 'gpt3-quick' were measured; it may be gpt2-quick"),
        (["--picture", "no/such/folder.svg"], "cannot be written"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    more: list[str], words: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare-settings", str(run), *more]) == 2
    assert words in capsys.readouterr().err


def test_runs_of_two_machines_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_run(tmp_path / "other.jsonl", [launch_line()], machine={"name": "another"})

    assert main(["compare-settings", str(run), str(other)]) == 2
    assert "times of different machines cannot be compared" in capsys.readouterr().err


def test_a_run_without_settings_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-settings", str(write_run(tmp_path / "run.jsonl", [launch_line()]))]) == 2
    assert "pytest perf_tests" in capsys.readouterr().err
