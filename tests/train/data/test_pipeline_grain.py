"""The pipeline that reads with Grain, in this process or in workers."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.config import Data
from train.data import DataError, GrainPipeline, load
from train.data.sources.folder import folder

ROOT = Path(__file__).resolve().parents[3]


def rows(pipeline, steps):
    return np.stack([pipeline.next()["index"] for _ in range(steps)])


def test_an_epoch_visits_every_row_once_but_the_remainder_and_the_next_in_another_order():
    pipeline = GrainPipeline(load(Data("digits"), "test"), 50, seed=0)
    assert pipeline.steps_per_epoch == 7
    first, second, third = (rows(pipeline, 7).ravel() for _ in range(3))
    assert len(set(first)) == len(set(second)) == len(set(third)) == 350
    assert len({tuple(order) for order in (first, second, third)}) == 3
    assert set(first) != set(second)
    # Neighbouring seeds share no epoch: Grain alone would shuffle epoch 1 of seed 0 as epoch 0 of seed 1.
    neighbour = rows(GrainPipeline(load(Data("digits"), "test"), 50, seed=1), 7).ravel()
    assert all(not np.array_equal(neighbour, order) for order in (first, second, third))
    pipeline.close()


def test_a_batch_holds_the_rows_that_its_indices_name():
    source = load(Data("rotated_digits"), "test")
    arrays = source.arrays()
    pipeline = GrainPipeline(source, 50, seed=0)
    for step in range(9):
        batch = pipeline.next()
        assert np.array_equal(batch["index"], pipeline.indices(step))
        assert all(np.array_equal(batch[name], arrays[name][batch["index"]]) for name in arrays)
        assert np.all(batch["mask"])
        assert batch["index"].dtype == np.int32
    pipeline.close()


def test_a_stream_goes_on_exactly_where_its_state_was_taken_with_workers_and_without():
    source = load(Data("digits"), "test")
    plain = GrainPipeline(source, 50, seed=4)
    expected = [plain.next() for _ in range(16)]

    def goes_on_from(pipeline, step, count):
        batches = [(pipeline.next(), expected[at]) for at in range(step, step + count)]
        return all(one[name].tobytes() == other[name].tobytes() for one, other in batches for name in other)

    plain.restore({"step": 0})
    assert goes_on_from(plain, 0, 5)
    working = GrainPipeline(source, 50, seed=4, workers=2)
    working.restore(json.loads(json.dumps(plain.state())))
    assert goes_on_from(working, 5, 6)  # over the end of an epoch
    assert len(multiprocessing.active_children()) == 2
    state = working.state()  # the workers have read ahead
    working.close()
    assert multiprocessing.active_children() == []
    plain.restore(state)
    assert goes_on_from(plain, 11, 5)
    plain.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_surfaces_as_the_error_that_names_it(tmp_path, workers):
    for c in "ab":
        (tmp_path / c).mkdir()
        for i in range(5):
            noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / c / f"{i}.png")
    source = folder(str(tmp_path), "train")
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:100])
    pipeline = GrainPipeline(source, 4, seed=0, workers=workers)
    with pytest.raises(DataError, match=r"/[ab]/\d\.png: expected a readable image"):
        pipeline.next()
    pipeline.close()
    assert multiprocessing.active_children() == []


SCRIPT = """
import multiprocessing, time
from train.config import Data
from train.data import GrainPipeline, load
if __name__ == "__main__":
    pipeline = GrainPipeline(load(Data("digits"), "test"), 50, 0, workers=1)
    pipeline.next()
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    {then}
"""


def start(tmp_path, then):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(then=then))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    pipe = subprocess.PIPE
    command = [sys.executable, script]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def test_workers_ignore_an_interrupt_and_a_program_that_forgets_to_close_them_ends_cleanly(tmp_path):
    process = start(tmp_path, "input()")
    worker = int(process.stdout.readline())
    os.kill(worker, signal.SIGINT)
    time.sleep(0.5)
    assert alive(worker)
    _, errors = process.communicate("\n", timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert not alive(worker)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    process = start(tmp_path, "time.sleep(60)")
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    if outlived := alive(worker):
        os.kill(worker, signal.SIGKILL)
    assert not outlived


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
