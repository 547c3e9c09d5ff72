"""Folders that are this user's alone: what somebody else made is not used."""

import os
import stat
from pathlib import Path

import pytest

from perfgate.shared.errors import UserError
from perfgate.shared.private import private

STRANGER = 12345


def mode(folder: Path) -> int:
    """The bits that say who may do what."""
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_folder_is_made_for_this_user_alone_and_an_open_one_is_closed(tmp_path: Path) -> None:
    assert mode(private(tmp_path / "new" / "inner")) == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    assert mode(private(tmp_path / "open")) == 0o700


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "cache").symlink_to("large-disk")
    assert mode(private(tmp_path / "cache").resolve()) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_somebody_else_made_is_refused(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "perfgate-0"
    if kind == "folder":
        place.mkdir()
        os.chown(place, STRANGER, STRANGER)
    else:
        (tmp_path / "mine").mkdir()
        place.symlink_to("mine")
        os.lchown(place, STRANGER, STRANGER)
    with pytest.raises(UserError, match="belongs to somebody else"):
        private(place)


def test_a_file_in_its_place_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        private(tmp_path / "file")
