"""Tests of the engine itself, in the rooms of the engine; only those in ``gpu`` need a GPU."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
SUPPORT = Path(__file__).parent / "support"
