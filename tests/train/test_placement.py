"""Placements: each fact of `eight_devices.py`, in one process that has eight devices, and the choice by name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from train.placement import MeshPlacement, PmapPlacement, make_placement
from zoo.names import UnknownNameError

FACTS = Path(__file__).with_name("eight_devices.py")
NAMES = re.findall(r"^def (test_\w+)", FACTS.read_text(), re.MULTILINE)


def run_on_eight_devices(*options):
    """What pytest prints of `eight_devices.py`, with the outcome of every test."""
    command = [sys.executable, "-m", "pytest", str(FACTS), "-q", "-rA", "--tb=short", "-p", "no:cacheprovider"]
    # Compiling is nearly all that these tests take, and unoptimised code is as right.
    settings = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment = {**os.environ, **settings}
    root = FACTS.parents[2]
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
def test_on_eight_devices_with_a_residual_network():
    report = run_on_eight_devices("-m", "slow")
    assert "3 passed" in report, report


def test_placements_are_chosen_by_name():
    assert type(make_placement("jit")) is MeshPlacement
    assert make_placement("fsdp").shard_parameters
    assert type(make_placement("pmap")) is PmapPlacement
    assert make_placement("jit", jax.devices()[:1]).mesh.size == 1
    with pytest.raises(UnknownNameError, match="no placement 'fdsp'; nearest: fsdp"):
        make_placement("fdsp")
