"""Real second interpreters as the reference, found in every way that people name them; and environments that are not
what the lock file names."""

import os
import sys
from pathlib import Path

import pytest

from perfgate.records.runfile import read
from tests.support.environments import bare, newest_python, pretend_installed, version_of, write_wheel

pytestmark = pytest.mark.untimed

CASE = """
def test_it(perf):
    perf(work(rounds=20), tolerance=5)
"""


def reference_launches(suite):
    """The launches of the reference in the only run."""
    (path,) = suite.run_files
    return [launch for launch in read(path).launches if launch.side == "reference"]


@pytest.mark.parametrize("way", ["path", "folder", "relative folder", "command"])
@pytest.mark.slice
def test_an_interpreter_is_found_however_it_is_named(suite, monkeypatch, way):
    suite.write(CASE)
    python = bare(suite.path / "other")
    monkeypatch.setenv("PATH", f"{suite.path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (suite.path / "bin").mkdir()
    (suite.path / "bin" / "python-of-old").symlink_to(python)
    folder = str(suite.path / "other")
    name = {"path": python, "folder": folder, "relative folder": "other", "command": "python-of-old"}[way]
    result = suite.run("--perf-ref", name)
    result.stdout.fnmatch_lines([f"*against {name} (python 3.*), candidate python 3.*transformers *"])
    (path,) = suite.run_files
    header = read(path).header["reference"]
    found = str(suite.path / "bin" / "python-of-old") if way == "command" else python
    assert header["python"] == found
    assert header["moved"]["torch"][0] == ""
    assert {launch.pass_name for launch in reference_launches(suite) if not launch.invalid} >= {"counters", "memory"}


def test_the_newest_python_at_hand_is_a_reference(suite):
    suite.write(CASE)
    python = bare(suite.path / "newest", newest_python())
    suite.run("--perf-ref", python)
    (path,) = suite.run_files
    told = read(path).header["reference"]["software"]["python"]
    assert tuple(map(int, told.split(".")[:2])) == version_of(python)
    assert any(not launch.invalid for launch in reference_launches(suite))


def test_programs_lie_in_pytests_pythonpath_on_both_sides(suite):
    ini = suite.path / "tox.ini"
    ini.write_text(f"{ini.read_text()}\npythonpath = lib\n")
    (suite.path / "lib").mkdir()
    (suite.path / "programs.py").rename(suite.path / "lib" / "programs.py")
    suite.write(CASE)
    suite.run("--perf-ref", bare(suite.path / "other"))
    (path,) = suite.run_files
    assert {launch.side for launch in read(path).launches if not launch.invalid} == {"reference", "candidate"}


def test_a_package_of_the_reference_comes_before_a_folder_of_that_name(suite):
    suite.write("def test_it(perf):\n    perf(Workload('parcel:Mine', {}))")
    python = bare(suite.path / "other")
    text = "from programs import Spin\n\n\nclass Mine(Spin):\n    def __init__(self, device):\n"
    text += "        super().__init__(device)\n        self.samples = NUMBER\n"
    (suite.path / "parcel.py").write_text(text.replace("NUMBER", "7"))
    (installed,) = (suite.path / "other" / "lib").glob("python3*/site-packages")
    (installed / "parcel.py").write_text(text.replace("NUMBER", "5"))
    suite.run("--perf-ref", python)
    (path,) = suite.run_files
    seen = {(launch.side, launch.samples) for launch in read(path).launches if launch.samples}
    assert seen == {("reference", 5), ("candidate", 7)}


def test_a_reference_without_the_program_fails_the_case(suite):
    (suite.path / "needing.py").write_text("import numpy\nfrom programs import Spin\n")
    suite.write("def test_it(perf):\n    perf(Workload('needing:Spin', {}))")
    result = suite.run("--perf-ref", bare(suite.path / "other"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it cannot be held against the reference: no program: needing:Spin cannot be imported: No module "
            "named 'numpy'; */other/bin/python finds programs in *",
            "ERROR: no case could be measured; see the reasons above",
        ]
    )


def test_what_a_library_of_the_reference_lacks_is_new(suite):
    (suite.path / "newer.py").write_text(
        "import importlib.util\nfrom perfgate.actor.failures import Unsupported\nfrom programs import Spin\n\n\n"
        "class Newer(Spin):\n    def __init__(self, device):\n        super().__init__(device)\n"
        "        if importlib.util.find_spec('torch') is None:\n"
        "            raise Unsupported('liger=True needs transformers 5.0 or newer')\n"
    )
    suite.write("def test_it(perf):\n    perf(Workload('newer:Newer', {}))")
    result = suite.run("--perf-ref", bare(suite.path / "other"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*step_time_s new (the reference cannot run it: unsupported: liger=True needs transformers 5.0 or newer)*"]
    )


def test_a_reference_that_cannot_start_says_why_once_in_full_and_for_every_case(suite):
    ini = suite.path / "tox.ini"
    ini.write_text(f"{ini.read_text()}\nperf_preload = numpy\n")
    suite.write(f"{CASE}\n\ndef test_too(perf):\n    perf(work())")
    result = suite.run("--perf-ref", bare(suite.path / "other"))
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    assert "Traceback" not in text  # the sentence says it all
    assert text.count("(the first case has the whole reason)") >= 1
    assert "BrokenPipeError" not in text
    result.stdout.fnmatch_lines(
        [
            "perf_preload names numpy, which */other/bin/python cannot import: *No module named 'numpy'*",
            "ERROR: no case*",
        ]
    )


def test_a_reference_needs_the_libraries_of_the_programs_and_none_that_is_too_old(suite):
    python = bare(suite.path / "other")
    suite.write("def test_it(perf, forward):\n    perf(work())")
    result = suite.run("--perf-ref", "other")
    result.stderr.fnmatch_lines(["ERROR: --perf-ref other lacks torch and transformers; install what is missing: *"])
    (installed,) = (suite.path / "other" / "lib").glob("python3*/site-packages")
    pretend_installed(installed, "transformers", "4.30.0")
    result = suite.run("--perf-ref", python)
    result.stderr.fnmatch_lines(["ERROR: --perf-ref * has transformers 4.30.0, and the oldest * is 4.37.2; *"])


def test_a_candidate_that_is_too_old_is_one_sentence_before_anything_starts(suite):
    suite.write(CASE)
    pretend_installed(suite.path, "transformers", "4.46.3")
    result = suite.run()
    result.stderr.fnmatch_lines(
        ["ERROR: Perfgate measures transformers 4.57 and newer, and * has transformers 4.46.3 (python *torch *"]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


SETTING = """
from programs import Spin


class Wrong(Spin):
    def __init__(self, device, name, value):
        super().__init__(device)
        setattr(self, name, value)
"""


@pytest.mark.parametrize(
    ("name", "value"), [("tokens", ["a", "b"]), ("samples", 2.5), ("network", "gpt2"), ("parts", {"a": 1})]
)
def test_a_name_of_perfgates_that_means_something_else_is_a_sentence(suite, name, value):
    (suite.path / "setting.py").write_text(SETTING)
    suite.write(f"def test_it(perf):\n    perf(Workload('setting:Wrong', {{'name': {name!r}, 'value': {value!r}}}))")
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*wrong program: setting:Wrong sets {name} to *; choose another name for it, *"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.fixture
def pinned(suite, monkeypatch):
    """A suite whose requirements name another version of a package than the installed one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(suite.path.parent / "cache"))
    pretend_installed(suite.path, "parcel", "1.0")
    write_wheel(suite.path, "parcel", "2.0")
    (suite.path / "requirements.txt").write_text("--no-index\n--find-links .\nparcel==2.0\n")
    (suite.path / "own.py").write_text(
        "from programs import Spin\n\n\nclass Own(Spin):\n    def __init__(self, device):\n"
        "        super().__init__(device)\n        import parcel\n        self.samples = int(float(parcel.VERSION))\n"
    )
    suite.write("def test_it(perf):\n    perf(Workload('own:Own', {}))")
    return suite


def test_an_environment_that_the_lock_file_does_not_name_is_refused(pinned):
    result = pinned.run()
    result.stderr.fnmatch_lines(
        [
            f"ERROR: requirements.txt names parcel==2.0, and 1.0 is installed, so *: {sys.executable} -m pip install "
            "-r requirements.txt, or let Perfgate build it: --perf-env lock, or *: --perf-env installed"
        ]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result = pinned.run("--perf-env", "installed")
    result.stdout.fnmatch_lines(["*No module named 'parcel'*"])


@pytest.mark.slice
def test_the_environment_that_the_lock_file_names_is_built_once_and_the_candidate_runs_in_it(pinned):
    # Beside a reference no yardstick is stepped, which would need numpy in the environment.
    run = ("--perf-env", "lock", "--perf-ref", bare(pinned.path / "other"))
    result = pinned.run(*run)
    result.stdout.fnmatch_lines(
        [
            "--perf-env lock: builds an environment in *, once",
            "--perf-env lock: pip install -r requirements.txt",
            "--perf-env lock: the environment is ready after * s",
        ]
    )
    found = read(pinned.run_files[0])
    assert Path(found.header["candidate"]["python"]).is_relative_to(pinned.path.parent / "cache")
    assert {(launch.side, launch.samples) for launch in found.launches if launch.samples} == {("candidate", 2)}
    pinned.run(*run).stdout.no_fnmatch_line("*builds an environment*")
