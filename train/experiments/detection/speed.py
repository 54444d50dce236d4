"""How long a trained detector takes for an image, and how much of it for its proposals. Lecture rows L56, L57, L59."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

import zoo
from train import data
from train.data.proposed import NAME as PROPOSALS
from train.data.proposed import proposals_of
from train.data.source import Example
from train.engine.network import make_network
from train.store.workdir import Workdir
from train.tasks import restore_task
from zoo.detection.proposals import padded

SECONDS, OF_PROPOSALS = "seconds_an_image", "seconds_of_proposals"
"""What `measure` knows."""
IMAGES = 40
"""Over which seconds are medians."""
ROUNDS = 5
"""Of each image the fastest of so many counts: what else the machine does makes all of them slower, and by chance."""


def measure(path: Path) -> dict[str, float]:
    """`SECONDS` of an image with a finished run's model, and how many of them are `OF_PROPOSALS`.

    One test image after the other, from its pixels to its detections, with programs that are compiled and warm. A
    detector that is given proposals waits for selective search, which is searched anew here. Of one that makes its own
    they are what its first stage takes beyond the maps, which both stages share: so the paper counts (Ren et al., 2015,
    Table 5).

    Raises:
      WorkdirError: there is no run in this folder.
    """
    files = Workdir(path)
    recipe = files.read_recipe()
    task = restore_task(recipe.task, files.read_fitted() or {})
    model = make_network(recipe, task).model
    variables = zoo.load_weights(model, files.weights)
    source = data.load(dataclasses.replace(recipe.data, proposals=0), "test")
    prepare, most = data.preprocess(recipe.augment, source.spec), recipe.data.proposals
    batches = [_of_one(source[row], task.fields) for row in range(min(IMAGES, len(source)))]

    def network(**options: Any) -> Callable[[dict[str, Any]], Any]:
        program = jax.jit(lambda variables, batch: model.apply(variables, *task.inputs(prepare(batch)), **options))
        return lambda batch: jax.block_until_ready(program(variables, batch))

    def search(batch: dict[str, Any]) -> None:
        batch[PROPOSALS] = padded(proposals_of({name: batch[name][0] for name in batch}, most), most)[None]

    if most:
        searching, deciding = seconds((search, network()), batches)
        return {SECONDS: float(np.median(searching + deciding)), OF_PROPOSALS: float(np.median(searching))}
    whole, first, maps = seconds((network(), network(method="proposals"), network(features=True)), batches)
    return {SECONDS: float(np.median(whole)), OF_PROPOSALS: max(0.0, float(np.median(first - maps)))}


def seconds(calls: Sequence[Callable[[Any], Any]], each: Sequence[Any]) -> Float[np.ndarray, "calls each"]:
    """How long the calls take for each of these, the fastest of `ROUNDS`, in turns, after one to warm up."""

    def timed(call: Callable[[Any], Any], one: Any) -> float:
        started = time.perf_counter()
        call(one)
        return time.perf_counter() - started

    for call in calls:
        call(each[0])
    return np.array([[[timed(call, one) for call in calls] for one in each] for _ in range(ROUNDS)]).min(axis=0).T


def _of_one(example: Example, fields: Sequence[str]) -> dict[str, Any]:
    """A batch of it, with what the task reads."""
    return {name: example[name][None] for name in fields if name in example}
