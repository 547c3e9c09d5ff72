"""Settings side by side, by the command: ratios to vanilla, and the settings that no other beats in both."""

import json
from pathlib import Path

import pytest

from perfgate.cli.main import main
from perfgate.reports.tables import words
from tests.support.runs import launch_line, workload_line, write_run

SETTINGS = {  # step time in seconds and peak memory in bytes
    "a": ({"batch_size": 8}, 0.020, 100),
    "b": ({"batch_size": 4}, 0.020, 80),  # half the samples a second, less memory
    "c": ({"precision": "bf16"}, 0.010, 70),  # beats both
    "d": ({"attention": "eager"}, 0.012, 120),
    "e": ({"optimizer": "sgd"}, 0.016, 60),
    "g": ({"precision": "bf16", "compile": "default"}, 0.00998, 70),  # cannot be told apart from c
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
        for number, noise in enumerate((0.995, 1.0, 1.005)):
            noisy = {name: [value * noise for value in values] for name, values in metrics.items()}
            noisy["peak_memory_bytes"] = peak * 10**6
            lines.append(launch_line(case, workload=name * 64, launch=number, metrics=noisy))
    lone = "training/test_x.py::test_lone[bert-quick]"
    lines += [workload_line(lone, workload="f" * 64, model="bert-quick"), launch_line(lone, workload="f" * 64)]
    return write_run(tmp_path / "run.jsonl", lines)


def test_the_front_is_what_no_other_beats_in_both(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-settings", str(run), "--format", "json"]) == 0

    (group,) = json.loads(capsys.readouterr().out).values()
    assert [(row["setting"], row["front"]) for row in group] == [
        ("precision=bf16, compile=default", False),
        ("precision=bf16", True),
        ("attention=eager", False),
        ("optimizer=sgd", True),
        ("batch_size=8", False),
        ("batch_size=4", False),
    ]
    half = group[1]
    assert half["speed_to_vanilla_low"] < half["speed_to_vanilla"] < half["speed_to_vanilla_high"]
    assert half["speed_to_vanilla"] == pytest.approx(2)
    assert half["memory_to_vanilla"] == pytest.approx(0.7)


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv"])
def test_every_format_names_all_settings(form: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-settings", str(run), "--format", form, "--picture", str(run.with_suffix(".svg"))]) == 0

    told = capsys.readouterr().out
    assert all(f"{name}={value}" in told for setting, *_ in SETTINGS.values() for name, value in setting.items())
    assert "bert-quick" not in told
    picture = run.with_suffix(".svg").read_text()
    assert ">peak memory</text>" in picture
    assert all(f">{words(setting)}</text>" in picture for name, (setting, *_) in SETTINGS.items() if name != "a")


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (["memory 0.1GB"], "the fastest setting within the limits is precision=bf16, compile=default, with "),
        (["memory 65MB", "step 200ms"], "the fastest setting within the limits is optimizer=sgd, with 500 samples a"),
        (["memory 65MB", "step 15 ms"], "no setting keeps the limits."),
    ],
)
def test_the_fastest_setting_within_limits_is_named(
    limits: list[str], found: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare-settings", str(run), *(word for limit in limits for word in ("--under", limit))]) == 0
    assert f"gpt2-quick, training: {found}" in capsys.readouterr().out


def test_how_much_work_there_is_is_no_setting(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in run.read_text().splitlines()]
    for number, line in enumerate(lines):
        if line.get("kind") == "workload" and line["workload"][0] in "de":
            lines[number]["setting"]["prompt_length"] = 512
    run.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert main(["compare-settings", str(run), "--format", "json"]) == 0

    first, second = json.loads(capsys.readouterr().out).items()
    assert first[0] == "gpt2-quick, training"
    assert second[0] == "gpt2-quick, training, prompt_length=512"
    assert {row["setting"] for row in second[1]} == {"attention=eager", "optimizer=sgd"}
    assert all(row["speed_to_vanilla"] is None for row in second[1])


def test_with_a_single_launch_nothing_is_faster(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in run.read_text().splitlines() if json.loads(line).get("launch", 0) == 0]
    run.write_text("".join(f"{line}\n" for line in lines))

    assert main(["compare-settings", str(run)]) == 0

    told = capsys.readouterr().out
    assert "x (one launch)" in told
    assert next(line for line in told.splitlines() if line.startswith("│ *")).split("│")[2].strip() == "optimizer=sgd"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "gpt3-quick"], "no two settings of model 'gpt3-quick' were measured; it may be gpt2-quick"),
        (["--picture", "no/such/folder.svg"], "cannot be written"),
        (["--under", "memory 200ms"], "--under 'memory 200ms' is no limit; write memory, step, sample or token"),
        (["--under", "40GiB"], "--under '40GiB' is no limit"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    more: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare-settings", str(run), *more]) == 2
    assert said in capsys.readouterr().err


def test_runs_of_two_machines_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_run(tmp_path / "other.jsonl", [launch_line()], machine={"name": "another"})

    assert main(["compare-settings", str(run), str(other)]) == 2
    assert "times of different machines cannot be compared" in capsys.readouterr().err


def test_a_run_without_settings_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-settings", str(write_run(tmp_path / "run.jsonl", [launch_line()]))]) == 2
    assert "pytest perf_tests" in capsys.readouterr().err
