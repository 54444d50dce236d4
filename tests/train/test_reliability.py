"""What may happen to a run: kills, signals, NaN, a full disk, a second run in the same folder."""

import contextlib
import dataclasses
import os
import random
import re
import signal
import subprocess
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train import harness
from tests.train.harness import BATCH, STEPS_PER_EPOCH, TRAIN, lines, recipe, run
from train import cli, loop, results, seal
from train.checkpoint import CheckpointError, Checkpoints
from train.data import load, make_pipeline
from train.evaluation import Evaluator
from train.feed import MemoryFeed
from train.files import write_json
from train.loop import NonFiniteError
from train.recipe import Optimizer
from train.tasks import Classification
from train.workdir import Workdir, WorkdirError

pytestmark = pytest.mark.usefixtures("runs")


def with_data(base, **changes):
    return dataclasses.replace(base, data=dataclasses.replace(base.data, **changes))


def saved(path):
    return Checkpoints(path / "checkpoints", "accuracy", True)


def check_lines(path, other):
    """Each step is in one line, in order, and the evaluations are those of an undisturbed run."""
    steps = [line["step"] for line in lines(path, "train")]
    assert steps == sorted(set(steps))
    assert steps[-1] == lines(other, "train")[-1]["step"]
    assert lines(path, "eval") == lines(other, "eval")


# ---- signals ----


def on(monkeypatch, place, name, number, call=0):
    """Raises a signal when a function is called for the `call`-th time, before it does anything."""
    original, calls = getattr(place, name), iter(range(10**6))

    def interrupted(*arguments, **options):
        if next(calls) == call:
            signal.raise_signal(number)
        return original(*arguments, **options)

    monkeypatch.setattr(place, name, interrupted)


MOMENTS = {
    "before there is a state": (loop, "assemble", 0, 0),
    "in the first step": (MemoryFeed, "advance", 0, 1),
    "in a later step": (MemoryFeed, "advance", 4, 6),
    "in an evaluation": (Evaluator, "_sums", 0, 8),
    "in the evaluation of the moving average": (Evaluator, "_sums", 1, 8),
    "while a checkpoint is saved": (Checkpoints, "save", 0, 16),
    "in the last evaluation": (Evaluator, "_sums", 0, 24),
}
"""What is interrupted, at which call of it after the last interruption, and the step at which the run then is."""


def test_a_run_that_is_stopped_at_all_kinds_of_moments_ends_as_if_there_had_been_none(whole, data, tmp_path, capfd):
    path = tmp_path / "run"
    for number, (moment, (place, name, call, step)) in enumerate(MOMENTS.items()):
        number = (signal.SIGTERM, signal.SIGINT)[number % 2]
        with pytest.MonkeyPatch.context() as patch:
            on(patch, place, name, number, call)
            outcome = loop.fit(recipe(data), path, resume=path.exists())
        assert (outcome.step, outcome.fingerprint) == (step, None), moment
        assert outcome.exit_code == {signal.SIGTERM: 0, signal.SIGINT: 130}[number]
        assert saved(path).steps()[-1] == step
        printed = capfd.readouterr()
        assert f"{number.name}: saved step {step}; go on with: python -m train resume {path}" in printed.out
        assert f"{number.name}: stopping after this step" in printed.err
    assert run(recipe(data), path, resume=True).fingerprint == whole[1].fingerprint
    check_lines(path, whole[0])
    assert saved(path).best_step() == saved(whole[0]).best_step()


def test_a_signal_after_the_last_step_does_not_undo_the_end(whole, data, tmp_path, monkeypatch):
    on(monkeypatch, results, "write_json", signal.SIGTERM)
    outcome = run(recipe(data), tmp_path / "run")
    assert (outcome.fingerprint, outcome.exit_code) == (whole[1].fingerprint, 0)


def test_a_second_interrupt_stops_at_once_and_handlers_are_put_back(data, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    on(monkeypatch, MemoryFeed, "advance", signal.SIGINT, call=10)
    on(monkeypatch, MemoryFeed, "advance", signal.SIGINT, call=10)
    with pytest.raises(KeyboardInterrupt):
        run(recipe(data), tmp_path / "run")
    assert saved(tmp_path / "run").steps() == [8]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


SLOWER = [pytest.param(changes, marks=pytest.mark.slow) for changes in ({"placement": "pmap"}, {"on_nan": "skip"})]


@pytest.mark.parametrize("changes", [{"steps_per_dispatch": 5}, *SLOWER], ids=str)
def test_resuming_is_exact_however_steps_are_run(changes, data, tmp_path):
    changed = recipe(data, checkpoint_every=3, steps=20, **changes)
    expected = run(changed, tmp_path / "whole").fingerprint
    with pytest.MonkeyPatch.context() as patch:
        on(patch, MemoryFeed, "advance", signal.SIGTERM, call=5)
        assert run(changed, tmp_path / "run").step < 20
    assert run(changed, tmp_path / "run", resume=True).fingerprint == expected
    check_lines(tmp_path / "run", tmp_path / "whole")


# ---- kills ----


def start_resume(changed, path):
    """A run in another process; its folder is there already, so that it needs no recipe of that name."""
    if not path.exists():
        path.mkdir()
        Workdir(path).write_card(changed, {})
    return harness.start(["resume", str(path)])


def wait_for_lines(path, count, process):
    """Blocks until the run has written so many lines."""
    deadline = time.monotonic() + 120
    metrics = path / "metrics.jsonl"
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_at_random(changed, path, wait=0.5):
    process = start_resume(changed, path)
    before = (path / "metrics.jsonl").read_bytes().count(b"\n") if (path / "metrics.jsonl").exists() else 0
    wait_for_lines(path, before + 2, process)
    time.sleep(random.uniform(0, wait))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_run_that_was_terminated_and_killed_ends_as_one_that_was_not(data, tmp_path):
    changed = recipe(data, epochs=12, checkpoint_every=5)
    path = tmp_path / "run"
    process = start_resume(changed, path)
    wait_for_lines(path, 3, process)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"SIGTERM: saved step {saved(path).steps()[-1]}; go on with: python -m train resume {path}" in out
    assert "Traceback" not in errors
    kill_at_random(changed, path)
    resumed = run(changed, path, resume=True)
    expected = run(changed, tmp_path / "whole")
    assert resumed.fingerprint == expected.fingerprint
    check_lines(path, tmp_path / "whole")


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_that_reads_with_grain_ends_as_one_that_was_not(workers, data, tmp_path):
    changed = with_data(recipe(data, epochs=12, checkpoint_every=5), pipeline="grain", workers=workers)
    kill_at_random(changed, tmp_path / "run")
    resumed = run(changed, tmp_path / "run", resume=True)
    expected = run(with_data(changed, workers=0), tmp_path / "whole")
    assert resumed.fingerprint == expected.fingerprint
    check_lines(tmp_path / "run", tmp_path / "whole")


def test_a_run_killed_before_its_first_checkpoint_says_that_it_starts_again(whole, data, tmp_path, capsys):
    path = tmp_path / "run"
    path.mkdir()
    Workdir(path).write_card(recipe(data), {})
    (path / "checkpoints" / "8.orbax-checkpoint-tmp").mkdir(parents=True)
    (path / "metrics.jsonl").write_text('{"kind": "train", "step": 3, "loss": 1}\n{"kind": "tr')
    outcome = loop.fit(recipe(data), path, resume=True)
    assert outcome.fingerprint == whole[1].fingerprint
    assert "has no finished checkpoint: starting again from step 0" in capsys.readouterr().out
    check_lines(path, whole[0])


# ---- damaged checkpoints ----


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(whole, data, tmp_path, monkeypatch):
    path = tmp_path / "run"
    on(monkeypatch, MemoryFeed, "advance", signal.SIGTERM, call=18)
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
    on(monkeypatch, MemoryFeed, "advance", signal.SIGTERM, call=10)
    run(recipe(data), path)
    for step in saved(path).steps():
        (path / "checkpoints" / str(step) / "_CHECKPOINT_METADATA").write_text("{")
    assert cli.main(["resume", str(path)]) == 1
    error = capsys.readouterr().err
    assert "none of the checkpoints" in error
    assert "step 11: _CHECKPOINT_METADATA is damaged" in error


# ---- the folder ----


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


def test_an_unfinished_run_is_not_begun_anew_and_two_never_share_a_folder(data, tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    Workdir(path).write_card(recipe(data), {})
    with pytest.raises(WorkdirError, match="unfinished; go on with: python -m train resume"):
        run(recipe(data), path)
    with Workdir(path).locked(), pytest.raises(WorkdirError, match="in use by another process"):
        run(recipe(data), path, resume=True)


# ---- not a number ----

POISON = 13
"""A training row whose loss is not a number."""


@pytest.fixture
def poisoned(monkeypatch):
    loss = Classification.loss

    def poisoned(self, outputs, batch):
        value, logged = loss(self, outputs, batch)
        return value + jnp.sum(jnp.where(batch["index"] == POISON, jnp.nan, 0.0)), logged

    monkeypatch.setattr(Classification, "loss", poisoned)


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step_with_its_rows(poisoned, data, tmp_path):
    source = load(f"npz:{data}", "train")
    pipeline = make_pipeline(source, BATCH, seed=0)
    step = next(step for step in range(STEPS_PER_EPOCH) if POISON in pipeline.indices(step))
    rows = " ".join(map(str, pipeline.indices(step)))
    assert 2 < step < 7
    good = step // 2 * 2
    message = rf"step {step + 1}: .* not finite; rows of its batch of 8: {rows}; last good checkpoint: step {good} in"
    with pytest.raises(NonFiniteError, match=message):
        run(recipe(data, checkpoint_every=2), tmp_path / "run")
    assert saved(tmp_path / "run").steps()[-1] == good


def test_with_skip_the_run_goes_on_without_those_updates_and_counts_them(poisoned, data, tmp_path, monkeypatch):
    changed = recipe(data, on_nan="skip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = run(changed, tmp_path / "run")
    assert [re.search(r"update skipped \((\d) so far", str(warning.message))[1] for warning in caught] == [
        "1",
        "2",
        "3",
    ]
    variables = saved(tmp_path / "run").load_variables()[1]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))
    assert lines(tmp_path / "run", "train")[-1]["skipped"] == 3  # once an epoch
    on(monkeypatch, MemoryFeed, "advance", signal.SIGTERM, call=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(changed, tmp_path / "again")
        assert run(changed, tmp_path / "again", resume=True).fingerprint == outcome.fingerprint
    assert lines(tmp_path / "again", "train")[-1]["skipped"] == 3


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("on_nan", ["stop", pytest.param("skip", marks=pytest.mark.slow)])
def test_nothing_that_is_not_finite_is_ever_saved(on_nan, data, tmp_path, capsys):
    path = tmp_path / "run"
    path.mkdir()
    wild = Optimizer("sgd", learning_rate=1e38, ema=0.9)
    Workdir(path).write_card(recipe(data, optimizer=wild, on_nan=on_nan, checkpoint_every=1), {})
    assert cli.main(["resume", str(path)]) == 1
    error = capsys.readouterr().err
    assert "not finite" in error
    assert "Traceback" not in error
    for step in saved(path).steps():
        _, variables, average = saved(path).load_variables(step)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((variables, average)))


# ---- a full disk ----


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


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.filterwarnings("default")
def test_the_error_of_a_full_disk_is_one_line(data, tmp_path, monkeypatch, capsys):
    path = tmp_path / "run"
    path.mkdir()
    Workdir(path).write_card(recipe(data), {})
    monkeypatch.setattr(seal, "seal", fail)
    assert cli.main(["resume", str(path)]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: the checkpoint of step 24 could not be written to ")
    assert "No space left on device); there is no older one; once that is mended go on with" in last


def test_a_report_that_finds_no_room_can_be_written_later(whole, data, tmp_path):
    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.report.write_report", fail)
        with pytest.raises(WorkdirError, match="No space left on device; the last step is saved, once that is mended"):
            run(recipe(data), path)
    assert not Workdir(path).finished
    assert run(recipe(data), path, resume=True).fingerprint == whole[1].fingerprint
    assert Workdir(path).finished


# ---- many devices ----


def test_one_and_eight_devices_follow_the_same_losses(whole, data, tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    Workdir(path).write_card(recipe(data), {})
    process = harness.start(["resume", str(path)], JAX_NUM_CPU_DEVICES="8")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    eight, one = ([line["loss"] for line in lines(p, "train")] for p in (path, whole[0]))
    np.testing.assert_allclose(eight, one, atol=1e-4)
    assert TRAIN % BATCH == 0
    step, variables, _ = saved(path).load_variables()  # on the one device here
    assert step == 24
    assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(variables))


def test_a_change_of_versions_or_devices_is_said_when_resuming(data, tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    Workdir(path).write_card(recipe(data), {})
    card = Workdir(path).read_card()
    card["versions"]["jax"] = "0.1"
    write_json(path / "recipe.json", card)
    with pytest.warns(UserWarning, match=rf"bits may differ: jax: 0.1 -> {jax.__version__}"):
        run(recipe(data), path, resume=True)
