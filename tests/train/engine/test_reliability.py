"""Damaged checkpoints, folders that hold something else, a full disk, other devices."""

import contextlib
import dataclasses
import gc
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from tests.train import harness
from tests.train.harness import begin, check_lines, lines, recipe, run, saved, signal_at
from train import cli
from train.config import Optimizer
from train.engine.evaluator import Evaluator
from train.engine.feed import MemoryFeed
from train.engine.loop import fit
from train.store import seal
from train.store.checkpoint import CheckpointError
from train.store.files import write_json
from train.store.workdir import Workdir, WorkdirError

pytestmark = pytest.mark.usefixtures("runs")


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(whole, data, tmp_path, monkeypatch):
    path = tmp_path / "run"
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGTERM, call=18)
    run(recipe(data), path)
    assert saved(path).steps() == [8, 16, 19] or saved(path).steps() == [16, 19]
    for step in saved(path).steps()[-1:]:
        os.truncate(path / "checkpoints" / str(step) / "state" / "manifest.ocdbt", 10)
    with pytest.warns(UserWarning, match="checkpoint of step 19 skipped: state/manifest.ocdbt is damaged"):
        assert run(recipe(data), path, resume=True).fingerprint == whole[1].fingerprint
    assert saved(path).steps()[-1] == 24
    check_lines(path, whole[0])


def test_a_run_whose_checkpoints_are_all_damaged_never_starts_again_by_itself(data, tmp_path, monkeypatch, capsys):
    path = tmp_path / "run"
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGTERM, call=10)
    run(recipe(data), path)
    for step in saved(path).steps():
        (path / "checkpoints" / str(step) / "_CHECKPOINT_METADATA").write_text("{")
    assert cli.main(["resume", str(path)]) == 1
    error = capsys.readouterr().err
    assert "none of the checkpoints" in error
    assert "step 11: _CHECKPOINT_METADATA is damaged" in error


def test_a_folder_that_holds_something_else_is_refused(whole, data, tmp_path):
    path, _ = whole
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    with pytest.raises(WorkdirError, match="holds this run, finished"):
        run(recipe(data), path)
    other = dataclasses.replace(recipe(data, seed=7), optimizer=Optimizer("sgd"))
    with pytest.raises(WorkdirError, match=r"different recipe.*\n  optimizer.name: 'adam' -> 'sgd'\n(.*\n)*  seed: 0"):
        run(other, path)
    with pytest.raises(WorkdirError, match="different recipe"):
        run(other, path, resume=True)
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(WorkdirError, match="is not empty and holds no run"):
        run(recipe(data), tmp_path)
    with pytest.raises(WorkdirError, match="holds no run"):
        run(recipe(data), tmp_path / "nowhere", resume=True)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: {name: arrays[name][:56] for name in ("image", "label", "target")}, "train_examples: 64 -> 56"),
        (lambda arrays: {"label": np.roll(arrays["label"], 1)}, r"digests.label: \w+ -> \w+"),
    ],
    ids=("fewer", "other labels"),
)
def test_a_run_is_not_resumed_on_other_data(change, said, data, tmp_path, monkeypatch):
    path = tmp_path / "run"
    copy = shutil.copy(data, tmp_path / "tiny.npz")
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGTERM)
    run(recipe(copy), path)
    arrays = dict(np.load(copy))
    np.savez(copy, **arrays | change(arrays))
    with pytest.raises(WorkdirError, match=rf"not what this run began with.*\n  data.{said}(\n|$)"):
        run(recipe(copy), path, resume=True)


@pytest.mark.parametrize(
    ("fitted", "said"),
    [({"x": 1}, "x: 1"), ({"class_names": 3, "label_smoothing": 0.0}, "class_names: 3"), ([1], "does not say what")],
)
def test_a_card_whose_task_is_damaged_or_of_another_version_is_one_line(fitted, said, whole, tmp_path, capsys):
    path = shutil.copytree(whole[0], tmp_path / "run")
    card = Workdir(path).read_card()
    card["task"]["fitted"] = fitted
    write_json(path / "recipe.json", card)
    (path / "report.html").unlink()
    for command in (["resume", path], ["evaluate", path], ["predict", path, path / "example.png"]):
        assert cli.main([str(word) for word in command]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_a_checkpoint_of_another_pipeline_is_an_error(data, tmp_path, monkeypatch):
    path = tmp_path / "run"
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGTERM)
    run(recipe(data), path)
    seal.amend(path / "checkpoints" / "1", {"loop": {}, "feed": {"pipeline": "grain"}}, None)
    with pytest.raises(CheckpointError, match=r"step 1 is of another version or pipeline \(it holds step 0"):
        run(recipe(data), path, resume=True)
    seal.amend(path / "checkpoints" / "1", {"loop": {"step": 1}, "feed": {"pipeline": "grain"}}, None)
    with pytest.raises(CheckpointError, match=r"step 1 is of another version or pipeline .*'memory'"):
        run(recipe(data), path, resume=True)


def test_an_unfinished_run_is_not_begun_anew_and_two_never_share_a_folder(data, tmp_path):
    path = begin(recipe(data), tmp_path / "run")
    with pytest.raises(WorkdirError, match="unfinished; go on with: python -m train resume"):
        run(recipe(data), path)
    with Workdir(path).locked(), pytest.raises(WorkdirError, match="in use by another process"):
        run(recipe(data), path, resume=True)


@contextlib.contextmanager
def small_disk(path, kilobytes):
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"cannot mount a small disk here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of orbax's threads
def test_a_full_disk_stops_only_the_end_and_the_old_checkpoint_stays_usable(whole, data, tmp_path, monkeypatch):
    if os.geteuid():
        pytest.skip("needs root to mount a small disk")
    with small_disk(tmp_path / "disk", 1500):
        path, filler = tmp_path / "disk" / "run", tmp_path / "disk" / "filler"
        summary = Evaluator.summary

        def fill(evaluator, state, **options):
            if len(lines(path, "eval")) == 1:  # the second: what is saved after it finds no room
                while not saved(path).steps():
                    time.sleep(0.01)
                with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * 512)
            return summary(evaluator, state, **options)

        monkeypatch.setattr(Evaluator, "summary", fill)
        good = r"could not be written .*No space left on device.*; step 8 is there and usable; "
        with (
            pytest.warns(UserWarning, match=f"step 16 {good}the run goes on"),
            pytest.raises(CheckpointError, match=f"step 24 {good}once that is mended go on with: python -m train"),
        ):
            run(recipe(data), path)
        assert saved(path).steps() == [8]
        filler.unlink()
        monkeypatch.setattr(Evaluator, "summary", summary)
        assert run(recipe(data), path, resume=True).fingerprint == whole[1].fingerprint
        check_lines(path, whole[0])
    gc.collect()  # orbax leaves coroutines behind that were not awaited; they complain now, not in a later test


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.filterwarnings("default")
def test_the_error_of_a_full_disk_is_one_line(data, tmp_path, monkeypatch, capsys):
    path = begin(recipe(data), tmp_path / "run")
    monkeypatch.setattr(seal, "seal", fail)
    assert cli.main(["resume", str(path)]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: the checkpoint of step 24 could not be written to ")
    assert "No space left on device); there is no older one; once that is mended go on with" in last


def test_a_report_that_finds_no_room_can_be_written_later(whole, data, tmp_path):
    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.engine.finish.write_report", fail)
        with pytest.raises(WorkdirError, match="No space left on device; the last step is saved, once that is mended"):
            run(recipe(data), path)
    assert not Workdir(path).finished
    assert run(recipe(data), path, resume=True).fingerprint == whole[1].fingerprint
    assert Workdir(path).finished


@contextlib.contextmanager
def lost_output(kind, monkeypatch):
    """A standard output that is full, or that nobody reads any more."""
    if kind == "full":
        stream = open("/dev/full", "w")  # noqa: SIM115
    else:
        reading, writing = os.pipe()
        os.close(reading)
        stream = open(writing, "w")  # noqa: SIM115
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        yield
    stream.close()  # what it still holds went nowhere: no error


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_a_run_goes_on_without_its_output(kind, data, tmp_path, monkeypatch):
    with (
        lost_output(kind, monkeypatch),
        pytest.warns(UserWarning, match="output cannot be written .*; the run goes on"),
    ):
        assert fit(recipe(data, epochs=1), tmp_path / "run").fingerprint
    assert Workdir(tmp_path / "run").finished


def test_a_command_that_only_prints_says_that_it_could_not(whole, monkeypatch, capsys):
    with lost_output("full", monkeypatch):
        assert cli.main(["evaluate", str(whole[0])]) == 1
    assert capsys.readouterr().err == "error: [Errno 28] No space left on device\n"


def test_a_run_whose_folder_is_deleted_ends_with_an_error_that_says_so(data, tmp_path, monkeypatch, capsys):
    path = begin(recipe(data), tmp_path / "run")
    advance = MemoryFeed.advance

    def delete(feed, state, step, count):
        if step == 5:
            shutil.rmtree(path)
        return advance(feed, state, step, count)

    monkeypatch.setattr(MemoryFeed, "advance", delete)
    assert cli.main(["resume", str(path)]) == 1
    assert (
        capsys.readouterr().err
        == f"error: {path} was deleted or moved while the run went on: it cannot be saved there\n"
    )
    assert not path.exists()


def test_one_and_eight_devices_follow_the_same_losses(whole, data, tmp_path):
    path = begin(recipe(data), tmp_path / "run")
    process = harness.start(["resume", str(path)], JAX_NUM_CPU_DEVICES="8")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    eight, one = ([line["loss"] for line in lines(p, "train")] for p in (path, whole[0]))
    np.testing.assert_allclose(eight, one, atol=1e-4)
    step, variables, _ = saved(path).load_variables()  # on the one device here
    assert step == 24
    assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(variables))


def test_a_change_of_versions_or_devices_is_said_when_resuming(data, tmp_path):
    path = begin(recipe(data), tmp_path / "run")
    card = Workdir(path).read_card()
    card["versions"]["jax"] = "0.1"
    write_json(path / "recipe.json", card)
    with pytest.warns(UserWarning, match=rf"bits may differ: jax: 0.1 -> {jax.__version__}"):
        run(recipe(data), path, resume=True)
