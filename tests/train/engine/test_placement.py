"""Placements: each fact of `eight_devices.py`, in one process that has eight devices, and the choice by name."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from train.engine.placement import MeshPlacement, PmapPlacement, make_placement
from zoo.names import UnknownNameError

FACTS = Path(__file__).with_name("eight_devices.py")
NAMES = re.findall(r"^def (test_\w+)", FACTS.read_text(), re.MULTILINE)


def run_on_eight_devices(*options):
    """What pytest prints of `eight_devices.py`, with the outcome of every test."""
    command = [sys.executable, "-m", "pytest", str(FACTS), "-n0", "-q", "-rA", "--tb=short", "-p", "no:cacheprovider"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    root = FACTS.parents[3]
    done = subprocess.run([*command, *options], cwd=root, env=environment, capture_output=True, text=True, timeout=900)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def report():
    """All tests that are not slow run in one process: it is the start and the compiling that take time."""
    return run_on_eight_devices()


@pytest.mark.parametrize("name", NAMES)
def test_on_eight_devices(name, report):
    outcomes = re.findall(rf"^(\w+) \S+::{name}\b", report, re.MULTILINE)
    assert outcomes, report
    assert set(outcomes) == {"PASSED"}, report


@pytest.mark.slow
def test_on_eight_devices_with_a_residual_network_and_a_detector_of_two_stages():
    report = run_on_eight_devices("-m", "slow")
    assert "6 passed" in report, report


def start_process(port, processes, process):
    """One of several processes that share four devices."""
    command = [sys.executable, "-m", "tests.train.engine.two_processes", str(port), str(processes), str(process)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(4 // processes)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=FACTS.parents[3], env=environment, **pipes)


def results(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_two_processes_that_read_half_of_each_batch_train_as_one_does():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    pair = [start_process(port, 2, process) for process in (0, 1)]
    found = [results(process) for process in pair]
    expected = results(start_process(port, 1, 0))
    for name, numbers in expected.items():
        for one in found:
            assert one[name] == pytest.approx(numbers, abs=1e-4), name


def test_placements_are_chosen_by_name():
    assert type(make_placement("jit")) is MeshPlacement
    assert make_placement("fsdp").shard_parameters
    assert type(make_placement("pmap")) is PmapPlacement
    assert make_placement("jit", jax.devices()[:1]).mesh.size == 1
    with pytest.raises(UnknownNameError, match="no placement 'fdsp'; nearest: fsdp"):
        make_placement("fdsp")
