"""Signals and kills at any moment: the resumed run ends bit for bit as one that nothing disturbed."""

import dataclasses
import os
import random
import signal
import time

import pytest

from tests.train import harness
from tests.train.harness import begin, check_lines, recipe, run, saved, signal_at
from train.engine import finish, loop
from train.engine.evaluator import Evaluator
from train.engine.feed import MemoryFeed
from train.store.checkpoint import Checkpoints
from train.store.workdir import Workdir

pytestmark = pytest.mark.usefixtures("runs")


MOMENTS = {
    "before there is a state": (loop, "assemble", 0, 0),
    "in the first step": (MemoryFeed, "advance", 0, 1),
    "in a later step": (MemoryFeed, "advance", 4, 6),
    "in an evaluation": (Evaluator, "_totals", 0, 8),
    "in the evaluation of the moving average": (Evaluator, "_totals", 1, 8),
    "while a checkpoint is saved": (Checkpoints, "save", 0, 16),
    "in the last evaluation": (Evaluator, "_totals", 0, 24),
}
"""What is interrupted, at which call of it after the last interruption, and the step at which the run then is."""


def test_a_run_that_is_stopped_at_all_kinds_of_moments_ends_as_if_there_had_been_none(whole, data, tmp_path, capfd):
    path = tmp_path / "run"
    for number, (moment, (place, name, call, step)) in enumerate(MOMENTS.items()):
        number = (signal.SIGTERM, signal.SIGINT)[number % 2]
        with pytest.MonkeyPatch.context() as patch:
            signal_at(patch, place, name, number, call)
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
    signal_at(monkeypatch, finish, "write_json", signal.SIGTERM)
    outcome = run(recipe(data), tmp_path / "run")
    assert (outcome.fingerprint, outcome.exit_code) == (whole[1].fingerprint, 0)


def test_a_second_interrupt_stops_at_once_and_handlers_are_put_back(data, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGINT, call=10)
    signal_at(monkeypatch, MemoryFeed, "advance", signal.SIGINT, call=10)
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
        signal_at(patch, MemoryFeed, "advance", signal.SIGTERM, call=5)
        assert run(changed, tmp_path / "run").step < 20
    assert run(changed, tmp_path / "run", resume=True).fingerprint == expected
    check_lines(tmp_path / "run", tmp_path / "whole")


def start_resume(changed, path):
    """A run in another process."""
    return harness.start(["resume", str(path if path.exists() else begin(changed, path))])


def wait_for_a_checkpoint(path, process):
    """Blocks until the run has finished a checkpoint that was not there before."""
    before, deadline = saved(path).steps(), time.monotonic() + 120
    while saved(path).steps() == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_at_random(changed, path):
    process = start_resume(changed, path)
    wait_for_a_checkpoint(path, process)
    time.sleep(random.uniform(0, 0.4))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert saved(path).steps()


NEVER_FINISHED = pytest.mark.filterwarnings("ignore:checkpoint of step .* never finished")  # the kill hit a save


@NEVER_FINISHED
def test_a_run_that_was_terminated_and_killed_ends_as_one_that_was_not(data, tmp_path):
    changed = recipe(data, epochs=8, checkpoint_every=6)
    path = tmp_path / "run"
    process = start_resume(changed, path)
    wait_for_a_checkpoint(path, process)
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


@NEVER_FINISHED
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_that_reads_with_grain_ends_as_one_that_was_not(workers, data, tmp_path):
    base = recipe(data, epochs=8, checkpoint_every=6)
    changed = dataclasses.replace(base, data=dataclasses.replace(base.data, pipeline="grain", workers=workers))
    if workers:
        process = start_resume(changed, tmp_path / "run")
        wait_for_a_checkpoint(tmp_path / "run", process)
        os.killpg(process.pid, signal.SIGTERM)  # as Slurm does: the workers end too
        assert "SIGTERM: saved step" in process.communicate(timeout=120)[0]
        assert process.returncode == 0
    kill_at_random(changed, tmp_path / "run")
    resumed = run(changed, tmp_path / "run", resume=True)
    expected = run(dataclasses.replace(base, data=dataclasses.replace(base.data, pipeline="grain")), tmp_path / "whole")
    assert resumed.fingerprint == expected.fingerprint
    check_lines(tmp_path / "run", tmp_path / "whole")


def test_a_run_killed_before_its_first_checkpoint_says_that_it_starts_again(whole, data, tmp_path, capsys):
    path = begin(recipe(data), tmp_path / "run")
    (path / "checkpoints" / "8.orbax-checkpoint-tmp").mkdir(parents=True)
    (path / ".metrics.jsonl.17.part").write_text("{")
    (path / "metrics.jsonl").write_text('{"kind": "train", "step": 3, "loss": 1}\n{"kind": "tr')
    outcome = loop.fit(recipe(data), path, resume=True)
    assert outcome.fingerprint == whole[1].fingerprint
    assert "has no finished checkpoint: starting again from step 0" in capsys.readouterr().out
    assert not list(path.rglob("*.part"))
    assert Workdir(path).read_card().keys() == Workdir(whole[0]).read_card().keys()
    check_lines(path, whole[0])
