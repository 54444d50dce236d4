"""What a chapter's README promises: its examples run, and what it names exists."""

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_examples(readme: Path) -> None:
    """Runs the doctests of a README."""
    assert doctest.testfile(str(readme), module_relative=False).failed == 0


def unnamed(readme: Path, names: list[str], tests: Path) -> set[str]:
    """Which public names a README leaves out; the test files and folders that it names have to exist."""
    text = readme.read_text(encoding="utf-8")
    files = set(re.findall(r"`(test_\w+\.py)`", text))
    assert files
    assert all((tests / name).exists() for name in files)
    assert all((ROOT / folder).exists() for folder in re.findall(r"`(train/\S+?)`", text))
    return {name for name in names if f"`{name}" not in text}
