"""What lock files name, held against what is installed."""

import pytest

from perfgate.reference.lock_files import disagreements
from perfgate.shared.errors import UserError

INSTALLED = {"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.22.2", "huggingface-hub": "2.4.0"}
UV = """
version = 1
[[package]]
name = "mine"
source = { editable = "." }
version = "0.1.0"
[[package]]
name = "torch"
version = "2.13.0"
[[package]]
name = "torch"
version = "2.12.0"
[[package]]
name = "transformers"
version = "5.23.0"
"""


def found(tmp_path, name, text):
    """The disagreements of one file."""
    (tmp_path / name).write_text(text)
    return disagreements(tmp_path, [name, "absent.txt"], INSTALLED.get)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "torch==2.13.0  # the newest\nHuggingFace_Hub>=2\n-e .\n--no-index\nabsent==1.0\n"),
        ("requirements.txt", "transformers==5.23.0 ; python_version < '3'\n"),
        ("requirements.txt", "transformers==5.22.2 \\\n    --hash=sha256:00\n"),
        ("constraints.txt", "transformers==5.22.*\n"),
        ("uv.lock", UV.replace("5.23.0", "5.22.2")),
        ("pylock.toml", "[[packages]]\nname = 'torch'\nversion = '2.13.0'\n"),
    ],
)
def test_what_agrees_is_silent(tmp_path, name, text):
    assert found(tmp_path, name, text) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "torch\ntransformers==5.23.0\n"),
        ("requirements.lock", "Transformers[torch]==5.23.0 --hash=sha256:00\n"),
        ("uv.lock", UV),
        ("poetry.lock", "[[package]]\nname = 'transformers'\nversion = '5.23.0'\n"),
        ("pylock.toml", "[[packages]]\nname = 'transformers'\nversion = '5.23.0'\n"),
    ],
)
def test_another_version_is_named_with_both(tmp_path, name, text):
    assert found(tmp_path, name, text) == [f"{name} names transformers==5.23.0, and 5.22.2 is installed"]


def test_a_file_that_another_includes_counts(tmp_path):
    (tmp_path / "base.txt").write_text("transformers==5.23.0\n")
    assert found(tmp_path, "requirements.txt", "-r base.txt\n")


def test_an_installed_commit_counts_as_its_version(tmp_path):
    (tmp_path / "requirements.txt").write_text("transformers==5.24.0\n")
    assert disagreements(tmp_path, ["requirements.txt"], {"transformers": "5.24.0@1a2b3c4d"}.get) == []


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"uv\.lock: this file pins libraries \(perf_lock\) and cannot be read: "):
        found(tmp_path, "uv.lock", "[[package]\n")
