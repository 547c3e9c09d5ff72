"""The environments of an upgrade: what they hold, that they are kept, and that a half-built one never counts."""

import subprocess
from pathlib import Path

import pytest

from perfgate.reference import environment
from perfgate.reference.environment import READY, Recipe, built
from perfgate.reference.upgrade import check_packages, upgrade_sides
from perfgate.shared.errors import UserError
from tests.support.environments import bare, pretend_installed, write_wheel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are kept, and packages come from wheels beside it."""
    monkeypatch.setattr(environment, "user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    for version in ("1.0", "2.0"):
        write_wheel(tmp_path, "lib", version)
    write_wheel(tmp_path, "other", "3.0")
    return tmp_path / "cache" / "environments"


def start(folder: Path) -> str:
    """An environment that something is installed in already."""
    python = bare(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "lib.py").write_text("VERSION = '1.0'\n")
    pretend_installed(packages, "lib", "1.0")
    (packages / "base.py").write_text("")
    pretend_installed(packages, "base", "5.0")
    return python


def imported(python: str, code: str) -> str:
    """What an interpreter prints."""
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slice
def test_what_does_not_move_is_that_of_the_environment_beneath_unless_it_cannot_work_with_what_does(
    cache: Path, tmp_path: Path
) -> None:
    before, told = start(tmp_path / "before"), list[str]()
    (packages,) = (tmp_path / "before").glob("lib/python*/site-packages")
    pretend_installed(packages, "needy", "5.0", needs="lib<2")
    write_wheel(tmp_path, "needy", "4.0")

    sides = upgrade_sides(["lib==2.0", "other==3.0"], before, tmp_path, told.append)
    again = upgrade_sides(["lib==2.0", "other==3.0"], str(tmp_path / "before"), tmp_path, lambda _: pytest.fail("kept"))

    assert dict(sides.moved) == {"lib": ("1.0", "2.0"), "needy": ("5.0", "4.0"), "other": ("", "3.0")}, (
        "what a new environment brings along does not count"
    )
    assert imported(sides.now, "import base, lib, other; print(lib.VERSION, other.VERSION)") == "2.0 3.0"
    assert imported(sides.before, "import lib; print(lib.VERSION)") == "1.0"
    assert again.now == sides.now
    assert any("pip install lib==2.0 other==3.0" in line for line in told)
    assert len(list(cache.glob("*/" + READY))) == 1


@pytest.mark.slice
def test_both_sides_of_a_file_are_built_by_themselves(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("lib==1.0\nother==3.0\n")

    sides = upgrade_sides(["lib==2.0"], "requirements.txt", tmp_path, lambda _: None)

    assert dict(sides.moved) == {"lib": ("1.0", "2.0")}
    assert len(list(cache.glob("*/" + READY))) == 2


@pytest.mark.slice
def test_an_environment_whose_building_is_stopped_does_not_count_as_built(cache: Path, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "pip install" in line:
            raise KeyboardInterrupt

    recipe = Recipe(tmp_path, [["lib==2.0"]])
    with pytest.raises(KeyboardInterrupt):
        built(recipe, "perfgate upgrade", stop)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    with pytest.raises(UserError, match=r"lib==9\.0"):
        built(Recipe(tmp_path, [["lib==9.0"]]), "perfgate upgrade", lambda _: None)
    assert [path for path in cache.iterdir() if path.is_dir()] == []


@pytest.mark.slice
def test_what_cannot_be_an_upgrade_is_refused(cache: Path, tmp_path: Path) -> None:
    before = start(tmp_path / "before")
    for package in ("transformers", "perf_tests", "transformers=5"):
        with pytest.raises(UserError, match="name each package with its version"):
            check_packages([package])
    with pytest.raises(UserError, match=r"nothing moves, as there is lib 1\.0 already"):
        upgrade_sides(["lib==1.0"], before, tmp_path, lambda _: None)
    with pytest.raises(UserError, match="--from is 'nowhere'"):
        upgrade_sides(["lib==2.0"], "nowhere", tmp_path, lambda _: None)
    (tmp_path / "uv.lock").write_text("")
    with pytest.raises(UserError, match=r"pip cannot install from uv\.lock"):
        upgrade_sides(["lib==2.0"], "uv.lock", tmp_path, lambda _: None)
