"""Small files appear whole or not at all."""

import errno
import json
import math
import os

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


def test_bytes_are_on_the_disk_before_a_file_has_its_name(tmp_path, monkeypatch):
    path, done, sync, replace = tmp_path / "clip.mp4", [], os.fsync, os.replace

    def watched_sync(number):
        done.append((os.fstat(number).st_ino, os.fstat(number).st_size))
        sync(number)

    def watched_replace(part, to):
        done.append("renamed")
        replace(part, to)

    monkeypatch.setattr(files.os, "fsync", watched_sync)
    monkeypatch.setattr(files.os, "replace", watched_replace)
    with files.whole(path) as part:
        part.write_bytes(b"frames")
    assert done == [(path.stat().st_ino, 6), "renamed"]
    files.write_bytes(path, b"more")
    assert done[2:] == [(path.stat().st_ino, 4), "renamed"]


def test_an_error_has_the_path_of_the_file_that_it_is_about(tmp_path, monkeypatch):
    path = tmp_path / "clip.json"
    with pytest.raises(OSError, match="Input/output error") as caught, files.whole(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))  # of a video that is read, for example
    assert caught.value.filename is None
    with pytest.raises(FileNotFoundError) as caught, files.whole(path):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")
    inside = tmp_path / "none" / "clip.json"
    with pytest.raises(FileNotFoundError) as caught, files.whole(inside) as part:
        part.write_bytes(b"")
    assert caught.value.filename == str(inside)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_bytes(path, b"")
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


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
