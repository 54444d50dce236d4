"""The layers on a batch that is spread over eight devices."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_eight_devices_give_the_gradients_of_one_and_move_no_images():
    root = Path(__file__).parents[2]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.nn.eight_devices"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["devices"] == 8
    # Sums over the batch are all that is exchanged: splitting the batch for a weight gradient gathers nothing.
    assert report["collectives"] == ["all-reduce"]
    assert report["size"] > 0.01
    for placement in ("mesh", "shard_map", "pmap"):
        assert report[placement] < 1e-5, report
