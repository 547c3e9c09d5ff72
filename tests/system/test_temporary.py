"""Temporary folders are gone afterwards, whatever comes."""

import shutil
from pathlib import Path

import pytest

from perfgate.system.temporary import removed, temporary_folder


def test_a_folder_is_new_and_gone_after_its_block() -> None:
    with temporary_folder("perfgate-test-") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("")
    assert not folder.exists()
    removed(folder)  # once more is no mistake


def test_an_interrupt_while_it_is_deleted_comes_once_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    delete, interrupts = shutil.rmtree, [KeyboardInterrupt, KeyboardInterrupt]

    def interrupted(path: Path, **options: bool) -> None:
        if interrupts:
            raise interrupts.pop()
        delete(path, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_folder("perfgate-test-") as folder:
        (folder / "file").write_text("")
    assert not folder.exists()


def test_what_is_named_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "claim").write_text("")
    (tmp_path / "other").write_text("")
    (tmp_path / "inner").mkdir()
    seen: list[list[str]] = []
    delete = shutil.rmtree

    def watched(path: Path, **options: bool) -> None:
        seen.append(sorted(each.name for each in tmp_path.iterdir()))
        delete(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    removed(tmp_path, last="claim")
    assert seen[-1] == ["claim"]
    assert not tmp_path.exists()
