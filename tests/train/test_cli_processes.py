"""Several processes: where they meet, and what is said when they do not."""

import pytest

from tests.train.command import call
from tests.train.harness import begin, recipe
from train.engine.loop import Outcome


@pytest.mark.parametrize("command", [["fit", "digits_mlp"], ["resume"]], ids=" ".join)
def test_processes_meet_where_the_flags_say_or_else_the_environment(command, data, tmp_path, capsys, monkeypatch):
    met = []
    monkeypatch.setattr("jax.distributed.initialize", lambda *meeting, **_: met.append(meeting))
    monkeypatch.setattr("train.engine.loop.fit", lambda *_, **__: Outcome(1, {}, "f"))
    if command == ["resume"]:
        command = ["resume", begin(recipe(data), tmp_path / "run")]
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "there:2")
    assert call(capsys, *command, "--coordinator", "here:1", "--num-processes", "3", "--process-id", "2")[0] == 0
    assert call(capsys, *command)[0] == 0  # jax knows some clusters
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    assert call(capsys, *command)[0] == 0
    assert met == [("here:1", 3, 2), ("there:2", None, None), ("there:2", 2, 0)]
    monkeypatch.setenv("JAX_PROCESS_ID", "first")
    code, _, error = call(capsys, *command)
    assert (code, error) == (2, "error: JAX_NUM_PROCESSES, JAX_PROCESS_ID: expected whole numbers, got '2', 'first' ")
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS")
    code, _, error = call(capsys, *command)
    assert (code, "JAX_COORDINATOR_ADDRESS is missing" in error) == (2, True)


def test_processes_that_do_not_meet_are_an_error_of_one_line(capsys, monkeypatch):
    def fail(*_, heartbeat_timeout_seconds, shutdown_timeout_seconds):
        assert max(heartbeat_timeout_seconds, shutdown_timeout_seconds) < 90  # a lost one is not waited for longer
        raise RuntimeError("DEADLINE_EXCEEDED: no answer\nin many lines")

    monkeypatch.setattr("jax.distributed.initialize", fail)
    code, _, error = call(capsys, "fit", "--coordinator", "here:1", "--num-processes", "2", "--process-id", "1")
    assert (code, error) == (1, "error: the processes do not meet at here:1: DEADLINE_EXCEEDED: no answer ")
