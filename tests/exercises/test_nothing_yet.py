"""An exercise that nobody solved says so: of every chapter's checks, whatever the skeleton gives back."""

import importlib

import pytest

CHAPTERS = ("dense", "detection", "frontiers", "graphs", "groups", "sequences", "video")
"""Those of which no test of their own says more."""


def checks_of(chapter):
    module = importlib.import_module(f"zoo.exercises.{chapter}")
    return [each for name, each in vars(module).items() if name.startswith("check_")]


@pytest.mark.parametrize("check", [check for chapter in CHAPTERS for check in checks_of(chapter)])
@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_is_said_to_be_missing(check, nothing):
    verdict = check(lambda *_: nothing)
    assert not verdict
    assert "nothing came back yet" in verdict.said
