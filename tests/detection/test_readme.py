"""The chapter's README: its examples run, and the functions and tests that it names exist."""

import doctest
import re
from pathlib import Path

import zoo.detection

README = Path(zoo.detection.__file__).with_name("README.md")


def test_examples_of_the_readme_run():
    assert doctest.testfile(str(README), module_relative=False).failed == 0


def test_readme_names_what_exists():
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)`", text))
    assert named
    assert all((Path(__file__).parent / name).exists() for name in named)
    folders = re.findall(r"`(train/\S+?)`", text)
    assert all((Path(__file__).parents[2] / folder).exists() for folder in folders)
    assert {name for name in zoo.detection.__all__ if f"`{name}" not in text} <= {
        "Cells",
        "decode",
        "encode",
        "losses",
        "scores",
    }
