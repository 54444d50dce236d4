"""Small files appear whole or not at all."""

import json
import math

import pytest

from train.store import files


def test_a_failed_write_leaves_the_old_file_whole_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    files.write_bytes(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def no_constant(word):
    raise AssertionError(f"{word} is no json")


def test_json_has_infinities_as_numbers_and_they_come_back():
    value = {"b": [math.inf, -math.inf, 1.5], 'Infinity "NaN"': "-Infinity", "NaN\\": ["NaN", '\\"', "Infinity"]}
    for indent in (None, 1):
        text = files.to_json(value, indent)
        assert json.loads(text, parse_constant=no_constant) == value
    assert files.to_json([math.nan]) == "[null]"
    plain = {"a": [1, 1e-7, None, True], "b": "Infinity"}
    assert files.to_json(plain) == json.dumps(plain)
