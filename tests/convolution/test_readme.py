"""The chapter's README: its examples run, and the functions and tests that it names exist."""

import doctest
import re
from pathlib import Path

import zoo.convolution

README = Path(zoo.convolution.__file__).with_name("README.md")


def test_examples_of_the_readme_run():
    assert doctest.testfile(str(README), module_relative=False).failed == 0


def test_readme_names_every_row_and_only_what_exists():
    text = README.read_text()
    assert re.findall(r"^\| (L\d+) ", text, re.MULTILINE) == [f"L{row}" for row in range(19, 37)]
    written = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    missing = [name for name in re.findall(r"`(test_\w+)`", text) if f"def {name}(" not in written]
    assert not missing
    shown = [name for name in zoo.convolution.__all__ if f"`{name}`" not in text]
    assert shown == ["Border", "ParameterCounts", "ReceptiveField", "Window"]  # the types are left to docstrings
