"""What a recipe came to with one seed, in the form that all ways to train it share."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]
"""Means over the training steps since the line before: "step", "loss" and the task's other scores."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a recipe came to with one seed."""

    metrics: dict[str, float]
    """Of the last evaluation, and as train_... those of training over its last epoch; nan what is not finite, and
    all of what diverged."""
    curve: list[tuple[int, float]]
    """Training steps done, and the mean loss since those before."""
    parameters: int
    """How many the model has."""
    seconds: float
    diverged: str = ""
    """What was not finite, and when; empty of a run that came to its end."""


def of_lines(
    metrics: Mapping[str, float],
    lines: Sequence[Line],
    names: Sequence[str],
    steps_per_epoch: int,
    parameters: int,
    seconds: float,
    diverged: str,
    ema: bool,
) -> Trained:
    """What a run came to.

    Args:
      metrics: of its last evaluation; of no interest where it diverged.
      lines: of its training, in order.
      names: of the task's metrics.
      steps_per_epoch: as many of the last steps are its last epoch.
      parameters: of the model.
      seconds: that it took.
      diverged: what was not finite, if anything.
      ema: whether it keeps a moving average, which has metrics too.
    """
    curve = [(line["step"], _finite(line["loss"])) for line in lines]
    if diverged:
        prefixes = ("", "ema_", "train_") if ema else ("", "train_")
        found = {prefix + name: math.nan for prefix in prefixes for name in names}
    else:
        measured = {**metrics, **_over_last_epoch(lines, names, steps_per_epoch)}
        found = {name: _finite(value) for name, value in measured.items()}
    return Trained(found, curve, parameters, seconds, diverged)


def _finite(value: float) -> float:
    """The value, or nan: files of results know no infinity."""
    return value if math.isfinite(value) else math.nan


def _over_last_epoch(lines: Sequence[Line], names: Sequence[str], steps_per_epoch: int) -> dict[str, float]:
    """The means over as many steps as an epoch has, up to the last; a line is of the steps since the line before.

    What the lines do not have, such as what only a judge knows, has no mean.

    >>> lines = [{"step": 2, "loss": 9.0}, {"step": 5, "loss": 3.0}, {"step": 6, "loss": 1.0}]
    >>> _over_last_epoch(lines, ["loss", "ap"], 4)
    {'train_loss': 2.5}
    """
    ends = [0, *(line["step"] for line in lines)]
    counted = [
        (line, line["step"] - begin)
        for begin, line in zip(ends, lines, strict=False)
        if line["step"] > ends[-1] - steps_per_epoch
    ]
    steps = sum(count for _, count in counted)
    return {
        f"train_{name}": sum(line[name] * count for line, count in counted) / steps if steps else math.nan
        for name in names
        if all(name in line for line, _ in counted)
    }
