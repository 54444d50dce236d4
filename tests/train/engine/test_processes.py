"""A run of two processes in one folder: the first writes, both read their rows, and it goes on where it was stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.train.harness import ROOT
from train.store.workdir import Workdir

pytestmark = pytest.mark.slow  # seven starts of two programs each

OPTIONS = [
    "fit",
    "digits_mlp",
    "--data.limit",
    "128",
    "--data.batch-size",
    "16",
    "--data.eval-batch-size",
    "80",
    "--epochs",
    "12",
    "--eval-every",
    "4",
    "--log-every",
    "20",
    "--model.options",
    "hidden=(8,)",
    "--optimizer.ema",
    "0.5",
]


def start(arguments, processes, program="train", **variables):
    """`python -m train` as several processes that meet, with four devices in all."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    meeting = ["--coordinator", f"localhost:{port}", "--num-processes", str(processes), "--process-id"]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(4 // processes),
        "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        **variables,
    }
    return [
        subprocess.Popen(
            [sys.executable, "-m", program, *map(str, arguments), *([*meeting, str(number)] if processes > 1 else [])],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]


def finished(programs):
    """Exit codes and what was printed, of programs that end by themselves."""
    outputs = [program.communicate(timeout=300) for program in programs]
    return [program.returncode for program in programs], [out for out, _ in outputs], [error for _, error in outputs]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The folder of a run of two processes, and what each printed."""
    path = tmp_path_factory.mktemp("pair") / "run"
    codes, outs, errors = finished(start([*OPTIONS, "--workdir", path], 2))
    assert codes == [0, 0], errors
    return path, outs


def journal(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def result(path):
    return json.loads((path / "fingerprint.json").read_text())


def test_two_processes_come_to_what_one_comes_to_and_the_first_alone_writes_and_prints(pair, tmp_path):
    path, (first, second) = pair
    codes, _, errors = finished(start([*OPTIONS, "--workdir", tmp_path / "one"], 1))
    assert codes == [0], errors
    assert result(path)["metrics"] == pytest.approx(result(tmp_path / "one")["metrics"], abs=1e-4)
    assert "epoch 12" in first
    assert [line for line in second.splitlines() if "[Gloo]" not in line] == []
    steps = [(record["kind"], record["step"]) for record in journal(path)]
    assert steps == [(record["kind"], record["step"]) for record in journal(tmp_path / "one")]
    assert len(list((path / "tensorboard").iterdir())) == 1


def test_the_report_has_every_held_out_example_of_both(pair):
    path, _ = pair
    text = (path / "report.html").read_text()
    wrong = round(360 * (1 - result(path)["metrics"]["accuracy"]))
    assert re.search(rf"\b{wrong} wrong of 360,", text)


def test_a_signal_to_one_process_stops_both_and_they_go_on_to_the_same_bits(pair, tmp_path):
    whole, _ = pair
    path = tmp_path / "run"
    programs = start([*OPTIONS, "--workdir", path], 2)
    deadline = time.monotonic() + 200
    while not (path / "metrics.jsonl").exists() or not (path / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    programs[1].send_signal(signal.SIGTERM)
    codes, outs, errors = finished(programs)
    assert codes == [0, 0], errors
    if not Workdir(path).finished:  # the signal may have come too late
        assert "saved step" in outs[0]
        codes, _, errors = finished(start(["resume", path], 2))
        assert codes == [0, 0], errors
    assert result(path)["fingerprint"] == result(whole)["fingerprint"]


def test_what_the_first_refuses_ends_all(pair):
    path, _ = pair
    codes, _, errors = finished(start([*OPTIONS, "--workdir", path, "--seed", "1"], 2))
    assert codes == [1, 1]
    assert all("holds a run of a different recipe" in error for error in errors)


def killed_after(step, number, programs, path):
    """Exit code and errors of the other process, and its seconds to the end, once one was killed after a checkpoint."""
    deadline = time.monotonic() + 200
    while not (path / "checkpoints" / str(step) / "seal.json").exists():
        assert all(program.poll() is None for program in programs), finished(programs)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    programs[number].kill()
    killed = time.monotonic()
    other = programs[1 - number]
    _, errors = other.communicate(timeout=200)
    programs[number].communicate()
    return other.returncode, errors, time.monotonic() - killed


def test_a_process_that_is_killed_ends_the_other_and_they_go_on_to_the_same_bits(pair, tmp_path):
    whole, _ = pair
    path = tmp_path / "run"
    slowly = {"program": "tests.train.harness", "HARNESS_PAUSE": "1.5"}  # of each dispatch of eight steps

    # In the pause after a checkpoint: one that both are writing would be waited for until jax ends the other.
    code, errors, seconds = killed_after(8, 1, start([*OPTIONS, "--workdir", path], 2, **slowly), path)
    assert code == 1
    assert "another process of this run has ended, or cannot be reached" in errors
    assert errors.rstrip().endswith(f"python -m train resume {path}")
    assert "Traceback" not in errors
    assert seconds < 90  # jax's own bound, where nothing else tells

    # With the first goes the service that they meet at: jax then ends the others itself.
    code, errors, seconds = killed_after(24, 0, start(["resume", path], 2, **slowly), path)
    assert code != 0
    assert "another task died" in errors or "another process of this run" in errors
    assert seconds < 90

    codes, _, errors = finished(start(["resume", path], 2))
    assert codes == [0, 0], errors
    assert result(path)["fingerprint"] == result(whole)["fingerprint"]
