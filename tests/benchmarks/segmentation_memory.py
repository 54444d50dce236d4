"""What evaluating segmentation needs of memory: does it grow with the number of images?

    python -m tests.benchmarks.segmentation_memory                           500 images of 480 x 360 pixels
    python -m tests.benchmarks.segmentation_memory --images 100 --batch 5    fewer

Prints the most resident memory that the process had had before the first image, and by how many MiB that grew after
some of them. The images are files, read as `label_maps:PATH`; the network is small and random. Each line is a process
of its own:

- `scores`: the metrics, as after every few epochs, of a split that is too large to be kept in memory;
- `page`: the same of the report, which also looks at predictions and draws some;
- `scores, kept`: by default a split of up to 1 GiB is decoded once and stays, here 1.2 MB an image.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from train.config import Augment, Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.segmentation import Segmentation as Settings
from train.data import pipeline
from train.engine.assemble import assemble
from train.engine.evaluator import Evaluator
from train.report import Run
from train.tasks.protocol import HostBatch, HostPrediction
from train.tasks.segmentation.page import LabelMapPage
from train.tasks.segmentation.task import Segmentation

WIDTH, HEIGHT, CLASSES, DISTINCT = 480, 360, 12, 10
SHARES = (0.1, 0.2, 0.5, 1.0)
"""Of the images, after which memory is told."""
KINDS = ("scores", "page", "scores, kept")


def write(folder: Path, images: int) -> None:
    """A folder of `label_maps`: ten pictures, each under many names."""
    random = np.random.default_rng(0)
    for split, count in (("train", 2), ("test", images)):
        for part in ("images", "labels"):
            (folder / split / part).mkdir(parents=True)
        for number in range(count):
            for part, shape, most in (("images", (24, 32, 3), 256), ("labels", (9, 12), CLASSES)):
                file, first = (folder / split / part / f"{name:04}.png" for name in (number, number % DISTINCT))
                if number >= DISTINCT:
                    os.link(first, file)
                    continue
                how = Image.Resampling.BICUBIC if part == "images" else Image.Resampling.NEAREST
                coarse = Image.fromarray(random.integers(0, most, shape).astype(np.uint8))
                coarse.resize((WIDTH, HEIGHT), how).save(file)
    (folder / "classes.txt").write_text("\n".join(f"class {label}" for label in range(CLASSES)), encoding="utf-8")


class Watch:
    """The most memory of the process before any image, and after each batch of them."""

    def __init__(self) -> None:
        self.images, self.peaks = 0, {0: peak()}

    def add(self, images: int) -> None:
        """Takes note of a batch that was read and sent."""
        self.images += images
        self.peaks[self.images] = peak()


class WatchedPage(LabelMapPage):
    """The page of the task, which takes note."""

    watch: Watch

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `LabelMapPage`."""
        super().add(batch, predicted)
        self.watch.add(len(batch["index"]))


class Watched(Segmentation):
    """The task with that page."""

    def page(self) -> WatchedPage:
        """See `Segmentation`."""
        return WatchedPage(self.names, self.background, self.ignore)


def peak() -> float:
    """The most memory that this process had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measured(kind: str, folder: str, batch: int) -> dict[int, float]:
    """The peaks of an evaluation, by the number of images that were seen."""
    recipe = Recipe(
        name="memory",
        model=Model("resnet_tiny"),
        data=Data(source=f"label_maps:{folder}", batch_size=2, eval_batch_size=batch),
        augment=Augment(mean=(0.5,), std=(0.25,)),
        task=Settings(),
        optimizer=Optimizer("sgd", learning_rate=0.1),
        schedule=Schedule("constant"),
        epochs=1,
    )
    assembly = assemble(recipe)
    assembly = dataclasses.replace(assembly, task=Watched(**dataclasses.asdict(assembly.task)))
    state = assembly.initialise()
    evaluator = Evaluator(assembly)
    if not kind.endswith("kept"):
        pipeline.MEMORY_LIMIT = 0
    watch = WatchedPage.watch = Watch()
    if kind == "page":
        evaluator.page(state).results(Run(folder))
    else:

        def before_a_batch() -> bool:
            watch.add(batch)
            return False

        evaluator.summary(state, before_a_batch)
    watch.peaks[watch.images] = peak()  # with all that is done at the end
    return watch.peaks


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.segmentation_memory", description="Peaks of RSS.")
    parser.add_argument("--images", type=int, default=500, help="of the held-out split (%(default)s)")
    parser.add_argument("--batch", type=int, default=10, help="images that are evaluated together (%(default)s)")
    parser.add_argument("--kind", choices=KINDS, help="one of them alone")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.folder is not None:
        print(json.dumps(measured(chosen.kind, chosen.folder, chosen.batch)))
        return
    if chosen.images % chosen.batch:
        parser.error(f"expected a number of images that batches divide, got {chosen.images} and {chosen.batch}")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), chosen.images)
        counts = [round(share * chosen.images) for share in SHARES]
        print(f"MiB of {WIDTH} x {HEIGHT} pixels, {CLASSES} classes, {chosen.batch} at a time\n")
        print(f"| evaluation | before | {' | '.join(f'{count} images' for count in counts)} |\n|---|{'--:|' * 5}")
        for kind in (chosen.kind,) if chosen.kind else KINDS:
            options = ("--kind", kind, "--batch", str(chosen.batch), "--folder", folder)
            command = [sys.executable, "-m", "tests.benchmarks.segmentation_memory", *options]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            peaks = {int(count): value for count, value in json.loads(done.stdout.splitlines()[-1]).items()}
            cells = [max(value for seen, value in peaks.items() if seen <= count) for count in (0, *counts)]
            print(
                f"| {kind} | {cells[0]:.0f} | {' | '.join(f'+{each - cells[0]:.0f}' for each in cells[1:])} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
