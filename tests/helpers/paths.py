"""Folders with test data."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDENS_FOLDER = REPOSITORY / "tests" / "goldens"
