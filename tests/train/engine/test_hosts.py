"""What is said of a lost process, without any: `test_processes.py` has real ones."""

import os
import threading

import jax
import pytest

from tests.train.harness import recipe, run, saved
from train import cli
from train.config import LostProcessError
from train.engine import hosts
from train.store import seal
from train.store.checkpoint import CheckpointError

CLOSED = "UNKNOWN: Gloo all-reduce failed: [pair.cc:547] Connection closed by peer [127.0.0.1]:1"
DEAD = "UNAVAILABLE: Task 1 heartbeat timeout.\nThis indicates that the remote task has failed"
FULL = "RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes."
BROKEN = "INTERNAL: NCCL operation ncclGroupEnd() failed: unhandled cuda error"


def failing(message, let_go=lambda: None):
    with hosts.together("start again", let_go):
        raise jax.errors.JaxRuntimeError(message)


@pytest.mark.parametrize("message", [CLOSED, DEAD])
def test_of_several_processes_a_lost_one_is_a_line_with_what_to_do(message, monkeypatch):
    monkeypatch.setattr(hosts, "count", lambda: 2)
    let_go = []
    with pytest.raises(LostProcessError, match="has ended, or cannot be reached") as caught:
        failing(message, lambda: let_go.append(True))
    (line,) = str(caught.value).splitlines()
    assert message.splitlines()[0] in line
    assert line.endswith("once all have ended, start again")
    assert let_go == [True]


def test_so_is_a_checkpoint_that_was_not_written_because_one_is_lost(monkeypatch):
    monkeypatch.setattr(hosts, "count", lambda: 2)

    def save(message):
        with hosts.together("start again"):
            try:
                raise jax.errors.JaxRuntimeError(message)
            except jax.errors.JaxRuntimeError as error:
                raise CheckpointError("step 4 could not be written") from error

    with pytest.raises(LostProcessError, match="Connection closed by peer"):
        save(CLOSED)
    with pytest.raises(CheckpointError):
        save(FULL)


def test_what_was_said_once_is_not_said_again(monkeypatch):
    monkeypatch.setattr(hosts, "count", lambda: 2)
    with pytest.raises(LostProcessError, match=r"start again$"), hosts.together("do another thing"):
        failing(CLOSED)


@pytest.mark.parametrize(("message", "processes"), [(FULL, 2), (BROKEN, 2), (CLOSED, 1)])
def test_an_error_of_its_own_stays_what_it_is(message, processes, monkeypatch):
    monkeypatch.setattr(hosts, "count", lambda: processes)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message.partition(":")[0]):
        failing(message, lambda: pytest.fail("nothing was lost"))


def test_the_command_line_then_ends_at_once(monkeypatch, capsys):
    def lost(arguments):
        raise LostProcessError("another process has ended")

    class EndedError(BaseException):
        pass

    def end(code):
        raise EndedError(code)

    monkeypatch.setitem(cli.COMMANDS, "list", (lost, "", ""))
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(EndedError, match=r"^1$"):
        cli.main(["list"])
    assert capsys.readouterr().err == "error: another process has ended\n"


@pytest.mark.usefixtures("runs")
def test_a_checkpoint_in_writing_is_not_waited_for_once_a_process_is_lost(data, tmp_path, monkeypatch):
    run(recipe(data, epochs=1), tmp_path / "run")
    checkpoints = saved(tmp_path / "run")
    step, variables, _ = checkpoints.load_variables()
    others, sealed = threading.Event(), []
    monkeypatch.setattr(seal, "seal", lambda *arguments: sealed.append(others.wait(10)))
    checkpoints.save(step + 1, variables, {})
    checkpoints.abandon()
    checkpoints.close()
    assert (sealed, checkpoints.steps()) == ([], [step])
    others.set()
