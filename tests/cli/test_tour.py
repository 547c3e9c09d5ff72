"""``perfgate tour``: runs topics that are declared as data, and explains their numbers."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from perfgate.reports.lecture import walk as walking
from perfgate.reports.lecture.topic import Column, Topic
from perfgate.reports.lecture.topics import topics
from perfgate.reports.lecture.walk import problem_of, walk
from perfgate.shared.metrics import METRICS
from tests import ROOT
from tests.support.runs import perfgate


def tour(folder, *arguments):
    """Runs the command in a folder that is no checkout."""
    return perfgate("tour", *arguments, cwd=folder)


def test_an_unknown_topic_is_refused_with_the_nearest_one(tmp_path):
    done = tour(tmp_path, "batch-sise")
    assert done.returncode == 2
    assert "there is no topic 'batch-sise'" in done.stderr
    assert "did you mean batch-size?" in done.stderr


def test_topics_are_listed_in_their_order(tmp_path):
    done = tour(tmp_path, "--list", "--json")
    assert done.returncode == 0
    assert [line["topic"] for line in json.loads(done.stdout)["topics"]] == [topic.name for topic in topics()]


def test_each_topic_s_numbers_are_in_the_registry_and_what_it_draws_is_in_its_table():
    for topic in topics():
        assert len(topic.rows) > 1
        assert all(column.metric in METRICS for column in topic.columns), topic.name
        assert set(topic.drawn) <= {column.head for column in topic.columns}, topic.name
        assert (ROOT / "perf_tests" / topic.cases).is_file(), topic.name


def test_a_topic_whose_package_is_missing_is_left_out_in_a_sentence():
    lacking = Topic("it", "It", "", {}, (), "", "", "", package="not_there_at_all")
    told = walk(lacking)
    assert told.values == {}
    assert told.problem == "left out: not_there_at_all is not installed; pip install not_there_at_all"


def test_a_row_without_its_number_is_a_problem_even_where_pytest_ended_well():
    columns = (Column("step", "step_time_s"),)
    topic = Topic("it", "It", "", {"a": None, "b": None}, columns, "", "", "")
    values = {"a": {"step": 1.0}, "b": {"step": None}}
    assert problem_of(topic, values, 0, "SKIPPED no GPU") == "b could not be measured: SKIPPED no GPU"
    assert problem_of(topic, {**values, "b": {"step": 2.0}}, 0, "") == ""
    assert problem_of(topic, {}, 4, "") == "a, b could not be measured: pytest said nothing"


@pytest.mark.slice
@pytest.mark.untimed
def test_exact_rows_are_run_outside_of_a_checkout(tmp_path, monkeypatch):
    """The rows of the operators are the cheapest; run dry they tell the same FLOPs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(walking, "TIMED", walking.EXACT)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    topic = next(topic for topic in topics() if topic.name == "fully-connected")
    told = walk(topic)
    directions = [told.values[row]["FLOPs"] for row in list(topic.rows)[:3]]
    assert directions == [2 * 256 * 512 * 2048] * 3
    assert told.problem.startswith("forward, 2048 outputs, ")  # there are no times


@pytest.mark.slice
@pytest.mark.untimed
def test_an_interrupt_ends_pytest_and_names_what_is_left(tmp_path):
    command = [sys.executable, "-m", "perfgate", "tour", "memory-anatomy", "generation"]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(tmp_path.glob("perfgate-tour-*/said")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "stopped in memory-anatomy; go on with: perfgate tour memory-anatomy generation" in said
    assert not list(tmp_path.glob("perfgate-tour-*"))


def test_the_page_of_the_lecture_is_made_from_the_topics():
    spec = importlib.util.spec_from_file_location("lecture_page", ROOT / "docs" / "lecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run: python docs/lecture.py"
