"""Measures a network of clips with weights alone on the whole held-out split."""

import dataclasses
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from train.config import Data
from train.data import Kind, Source, load_unframed
from train.data.sampled import CLIP, READABLE
from train.data.source import Arrays
from train.engine.console import Console
from train.use.clip_predictor import WeightsClipPredictor, joined
from train.use.evaluate import measured, say
from train.use.with_weights import WeightsAloneError, output_of


def evaluate_clips(predictor: WeightsClipPredictor, data: Data, console: Console | None = None) -> dict[str, float]:
    """The metrics of videos and of single clips on the whole held-out split of some data; also prints them.

    A video has as many clips, as long and at the rate, with which the weights were evaluated. A class is known by its
    name, however it is spaced, or by its place where there are as many as outputs. Videos that cannot be read, or are
    too short, are left out with a warning.

    Raises:
      UnknownNameError, DataError: there is no such data, or it cannot be read.
      WeightsAloneError: the examples are no videos with labels, or of other classes.
    """
    console, of, sampling = console or Console(), predictor.network, predictor.sampling
    asked = dataclasses.replace(data, frames=sampling.frames, rate=sampling.rate, clips=sampling.clips)
    source = load_unframed(asked, "test")
    fields = {name: source.spec[name].kind for name in (CLIP, "label") if name in source.spec}
    if fields != {CLIP: Kind.CLIP, "label": Kind.LABEL} or source.spec["label"].shape or not source.facts.classes:
        raise WeightsAloneError(f"{source.name}: expected videos with a label each, found {', '.join(source.spec)}")
    classes, known = (tuple(map(_spaced, names)) for names in (source.facts.classes, of.class_names))
    outputs = np.asarray(output_of(classes, of.title, known, of.has_names, source.name), np.int32)
    console.learn(predictor.task.metrics)
    console.say(f"clips: {predictor.sees}, {sampling.clips} of a video")
    batches = _batches(predictor, source, outputs, data.eval_batch_size)
    summary = measured(of.model, predictor.task, of.variables, batches)
    say(console, f"{of.title}, {len(source)} held-out videos of {source.name}", summary)
    return summary


def _spaced(name: str) -> str:
    """A class as its name and as its folder is called: "air drumming" and "air_drumming"."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def _batches(predictor: WeightsClipPredictor, source: Source, outputs: np.ndarray, batch_size: int) -> Iterator[Arrays]:
    """Every video once, as the network takes it; the last batch is padded and masked."""

    def example(row: int) -> Arrays:
        found = source[row]
        clips = np.split(np.asarray(found[CLIP]), predictor.sampling.clips)
        label, seen = outputs[int(found["label"])], bool(found.get(READABLE, True))
        return {**joined(map(predictor.example, clips)), "label": label, "mask": np.bool_(seen)}

    size = min(batch_size, len(source))
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(source), size):
            places = np.arange(first, first + size)
            examples = list(pool.map(example, np.minimum(places, len(source) - 1).tolist()))
            batch = {name: np.stack([each[name] for each in examples]) for name in examples[0]}
            yield {**batch, "index": places, "mask": batch["mask"] & (places < len(source))}
