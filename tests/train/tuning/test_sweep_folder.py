"""Processes that claim one folder at the same time."""

import concurrent.futures
import time

import pytest

from train.tuning.sweep_folder import SweepError, SweepFolder, claimed

CARD = {"recipe": "digits"}


def test_a_process_waits_for_the_card_that_another_is_writing(tmp_path):
    path = tmp_path / "sweep"
    folder = SweepFolder(path)
    with concurrent.futures.ThreadPoolExecutor(1) as others:
        with folder.locked():
            part = path / ".sweep.json.1.part"
            part.write_text('{"recipe": "digits"}')
            claim = others.submit(claimed, CARD, path, tmp_path, "sweep")
            time.sleep(0.2)
            assert not claim.done()
            part.rename(folder.card)
        assert claim.result() == (folder, False)


def test_who_names_no_folder_waits_for_a_card_too(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    with concurrent.futures.ThreadPoolExecutor(1) as others:
        with folder.locked():
            part = folder.path / ".sweep.json.1.part"
            part.write_text('{"recipe": "digits"}')
            claim = others.submit(claimed, CARD, None, tmp_path, "sweep")
            time.sleep(0.2)
            part.rename(folder.card)
        assert claim.result() == (folder, False)


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SweepError, match="not empty and holds no sweep"):
        claimed(CARD, tmp_path, tmp_path, "sweep")
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]
