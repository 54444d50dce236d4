"""What the tests of whole runs share: a tiny data set, model and recipe, runs in this process and in another.

`python -m tests.train.harness fit ...` is `python -m train fit ...` with the tiny model in the catalog and no
report to draw.
"""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

import train.engine.finish
import zoo.catalog
from train.config import Augment, Data, Metric, Model, Optimizer, Recipe, Schedule
from train.engine.console import Console
from train.engine.feed import GrainFeed, MemoryFeed
from train.engine.loop import Outcome, fit
from train.store.checkpoint import Checkpoints
from train.store.workdir import Workdir
from zoo.nn import BatchNorm, Conv

ROOT = Path(__file__).resolve().parents[2]
TRAIN, TEST, BATCH = 64, 21, 8  # a test split that fills no whole number of batches
STEPS_PER_EPOCH = TRAIN // BATCH


class Tiny(nn.Module):
    """All kinds of state that a network can have, and quick to compile."""

    num_classes: int = 4
    dropout: float = 0.25
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, train=False):
        x = Conv(4, (3, 3), strides=(2, 2), padding=1, dtype=self.dtype, name="conv")(images)
        x = nn.relu(BatchNorm(name="norm")(x, not train)).reshape(len(x), -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype, name="dense")(x)


CATALOG = types.MappingProxyType(
    {**zoo.catalog.CATALOG, "tiny": zoo.catalog.Entry("tiny", f"{__name__}:Tiny", "classification", (8, 8, 1), "", "")}
)


def write_data(path: Path, seed: int = 0) -> Path:
    """A numpy archive of 8x8 images whose bright quarter is their class; "target" is that quarter's brightness."""
    random = np.random.default_rng(seed)
    count = TRAIN + TEST
    label = np.arange(count) % 4
    bright = random.integers(80, 180, count)
    image = random.integers(0, 60, (count, 8, 8, 1))
    for row, (quarter, extra) in enumerate(zip(label, bright, strict=True)):
        top, left = divmod(quarter, 2)
        image[row, 4 * top : 4 * top + 4, 4 * left : 4 * left + 4] += extra
    arrays = {"image": image.astype(np.uint8), "label": label, "target": bright.astype(np.float32)}
    train = {name: array[:TRAIN] for name, array in arrays.items()}
    np.savez(path, **train, **{f"test_{name}": array[TRAIN:] for name, array in arrays.items()})
    return path


def recipe(data: Path, **changes: Any) -> Recipe:
    """Batch norm, dropout, augmentation, Adam and a moving average, for three epochs; `changes` as Recipe's fields."""
    base = Recipe(
        name="tiny",
        model=Model("tiny"),
        data=Data(source=f"npz:{data}", batch_size=BATCH, eval_batch_size=BATCH),
        augment=Augment(pad_crop=1, cutout=2, mean=(0.3,), std=(0.2,)),
        optimizer=Optimizer("adam", learning_rate=3e-3, ema=0.9),
        schedule=Schedule("constant"),  # one program for any number of steps
        epochs=3,
        log_every=3,
    )
    return dataclasses.replace(base, **changes)


def run(recipe: Recipe, path: Path, **options: Any) -> Outcome:
    """A run in this process that prints nothing."""
    return fit(recipe, path, console=Console(quiet=True), **options)


def begin(recipe: Recipe, path: Path) -> Path:
    """The folder of a run that did not come to a step, for `resume`: so a test needs no recipe of that name."""
    path.mkdir()
    Workdir(path).write_card(recipe, {})
    return path


def saved(path: Path) -> Checkpoints:
    """The checkpoints of a run of `recipe`."""
    return Checkpoints(path / "checkpoints", Metric("accuracy", "Accuracy"), Workdir(path).read_recipe())


def lines(path: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind in a run's metrics.jsonl, each of which must be whole."""
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == kind]


def check_lines(path: Path, other: Path) -> None:
    """Each step of a run is in one line, in order, and the evaluations are those of an undisturbed run."""
    steps = [line["step"] for line in lines(path, "train")]
    assert steps == sorted(set(steps))
    assert steps[-1] == lines(other, "train")[-1]["step"]
    assert lines(path, "eval") == lines(other, "eval")


def signal_at(monkeypatch: Any, place: Any, name: str, number: signal.Signals, call: int = 0) -> None:
    """Raises a signal when a function is called for the `call`-th time, before it does anything."""
    original, calls = getattr(place, name), itertools.count()

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            signal.raise_signal(number)
        return original(*arguments, **options)

    monkeypatch.setattr(place, name, interrupted)


def write_no_report(files: Workdir, *_: Any) -> None:
    """In place of the report, which takes seconds to draw and has tests of its own."""
    files.report.write_text("no report")


def start(arguments: list[str], **environment: str) -> subprocess.Popen:
    """`python -m train` in another process, with what this module installs; its output is text, both streams."""
    command = [sys.executable, "-m", "tests.train.harness", *arguments]
    variables = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "COLUMNS": "200",
        **environment,
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def slow_down(seconds: float) -> None:
    """Makes every step of this process begin with a line and a pause, so that a signal finds the run at work."""
    for feed in (MemoryFeed, GrainFeed):
        advance = feed.advance

        def slowly(*arguments: Any, advance: Any = advance) -> Any:
            print("step", file=sys.stderr, flush=True)
            time.sleep(seconds)
            return advance(*arguments)

        feed.advance = slowly


if __name__ == "__main__":
    from train.cli import main

    slow_down(float(os.environ.get("HARNESS_PAUSE", "0.02")))
    zoo.catalog.CATALOG, train.engine.finish.write_report = CATALOG, write_no_report
    raise SystemExit(main())
