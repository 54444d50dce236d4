"""What the report is told of a run: its card, its metrics, and what its page followed."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.config import LOSS, Metric
from train.report.curves import series
from train.report.words import duration, grouped


@dataclasses.dataclass(frozen=True)
class Run:
    """One run; parts that are not known are empty, and `notes` says why."""

    path: Path
    """Its work directory, which has its name."""
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """recipe.json: "recipe", "versions", "devices", "model", "data", "metrics"."""
    fingerprint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """fingerprint.json, which a finished run has."""
    records: Sequence[Mapping[str, Any]] = ()
    """Lines of metrics.jsonl in order of step, each with "kind" and "step"."""
    notes: Sequence[str] = ()
    """What must not be missed."""
    seen: Sequence[tuple[int, Mapping[str, np.ndarray]]] = ()
    """Step by step, what the task remembered of the held-out examples that it follows."""
    followed: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """The fields of these examples."""

    @functools.cached_property
    def metrics(self) -> list[Metric]:
        """What its numbers mean, the one that it is ranked by first; of a card that does not say, the loss alone."""
        try:
            return [Metric(**said) if isinstance(said, Mapping) else Metric(*said) for said in self.card["metrics"]]
        except (KeyError, TypeError):
            return [LOSS]

    @property
    def warnings(self) -> list[str]:
        """The notes, and whether it diverged."""
        steps, losses = series(self.records, "train", LOSS.name)
        broken = steps[~np.isfinite(losses)]
        diverged = [f"The training loss was not finite, first at step {grouped(step)}." for step in broken[:1]]
        return [*self.notes, *self._aside, *diverged]

    @property
    def _aside(self) -> list[str]:
        """What was evaluated, where that is not the test."""
        data = self.part("recipe").get("data")
        share = data.get("validation") if isinstance(data, Mapping) else None
        if not isinstance(share, float) or not share:
            return []
        return [f"The test is here {100 * share:.3g} % of the training examples, which were set aside."]

    def part(self, name: str) -> Mapping[str, Any]:
        """A part of the card that should be an object; empty where it is none."""
        part = self.card.get(name)
        return part if isinstance(part, Mapping) else {}

    @property
    def title(self) -> str:
        """Such as "cifar_resnet20 on digits"; the directory's name where the recipe does not say."""
        model, data = (self.part("recipe").get(part) for part in ("model", "data"))
        try:
            return f"{model['name']} on {data['source']}"
        except (TypeError, KeyError):
            return self.path.resolve().name

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The run in a few labelled numbers, those of them that are known."""
        facts = []

        def add(label: str, value: Any, form: Callable[[Any], str]) -> None:
            if isinstance(value, int | float) and math.isfinite(value):
                facts.append((label, form(value)))

        add("Parameters", self.part("model").get("parameters"), grouped)
        add("Training examples", self.part("data").get("train_examples"), grouped)
        add("Steps", self.fingerprint.get("step", _largest(self.records, "step")), grouped)
        add("Epochs", _largest(self.records, "epoch"), "{:.4g}".format)
        add("Time", self.fingerprint.get("seconds"), duration)
        _, rates = series(self.records, "train", "images_per_second")
        rates = rates[np.isfinite(rates)]
        add("Images a second (median)", float(np.median(rates)) if len(rates) else None, grouped)
        return facts


def _largest(records: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return max((value for record in records if isinstance(value := record.get(name), int | float)), default=None)
