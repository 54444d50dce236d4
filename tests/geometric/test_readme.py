"""The chapter's README: its examples run, and the functions and tests that it names exist."""

from pathlib import Path

import zoo.geometric
from tests.readmes import run_examples, unnamed

README = Path(zoo.geometric.__file__).with_name("README.md")


def test_examples_of_the_readme_run():
    run_examples(README)


def test_readme_names_what_exists():
    assert unnamed(README, zoo.geometric.__all__, Path(__file__).parent) == set()
