"""Output streams that are closed, full or left, interrupts, and faults that are not hidden."""

import os
import signal
import subprocess
import sys

import pytest

from tests.train import harness
from tests.train.command import call
from tests.train.harness import begin, recipe
from train import cli
from train.engine.console import discard


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m train list | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_full_standard_error_ends_nothing(monkeypatch):
    with open("/dev/full", "w", buffering=1) as stream:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            cli._show_warning("something", UserWarning, "file.py", 1)
            assert cli.main(["fti"]) == 2
        discard(stream)


def test_standard_streams_that_are_closed_are_opened_to_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["--version"]) == 0
    assert sys.stdout.name == os.devnull
    sys.stdout.close()


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def fail(arguments):
        raise ZeroDivisionError

    monkeypatch.setitem(cli.COMMANDS, "list", (fail, "", ""))
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_an_interrupt_is_exit_code_130_without_a_traceback(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "list", (interrupted, "", ""))
    assert call(capsys, "list") == (130, "", "stopped ")


@pytest.mark.usefixtures("runs")
def test_two_interrupts_stop_a_run_in_the_middle_of_a_step_without_a_traceback(data, tmp_path):
    path = begin(recipe(data), tmp_path / "run")
    process = harness.start(["resume", str(path)], HARNESS_PAUSE="600")
    assert process.stderr.readline() == "step\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n"
    assert process.stderr.readline() == "SIGINT: stopping after this step; again to stop at once\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "stopped\n")
