"""What a work directory says of its run: recipe, versions, metrics and fingerprint, for the report."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train import journal
from train.report.blocks import duration, grouped
from train.report.curves import series


@dataclasses.dataclass(frozen=True)
class Run:
    """One run; parts whose file is missing or broken are empty, and `notes` says so."""

    workdir: Path
    card: Mapping[str, Any]
    """recipe.json: "recipe", "versions", "devices", "model", "data"."""
    fingerprint: Mapping[str, Any]
    """fingerprint.json, which a finished run has."""
    records: Sequence[Mapping[str, Any]]
    """Lines of metrics.jsonl in order of step, each with "kind" and "step"."""
    notes: Sequence[str]

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
            return self.workdir.resolve().name

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The run in a few labelled numbers, those of them that are known."""
        facts = []

        def add(label: str, value: Any, form) -> None:
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


def read_run(workdir: Path) -> Run:
    """Reads a work directory, as much of it as is there and whole."""
    notes: list[str] = []

    def read(name: str, needed: bool) -> dict[str, Any]:
        try:
            return dict(json.loads((workdir / name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            if needed:
                notes.append(f"{name} is missing.")
        except (ValueError, TypeError):
            notes.append(f"{name} is not readable.")
        return {}

    card, fingerprint = read("recipe.json", needed=True), read("fingerprint.json", needed=False)
    records = read_records(workdir / "metrics.jsonl")
    steps, losses = series(records, "train", "loss")
    if not np.isfinite(losses).all():
        notes.append(f"The training loss was not finite, first at step {grouped(steps[~np.isfinite(losses)][0])}.")
    return Run(workdir, card, fingerprint, records, notes)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl in order of step; lines that are not whole records are left out.

    A run that was killed and resumed may hold a step twice: of two records of one kind and step the later counts.
    """
    latest = {}
    for record in journal.read(path):
        try:
            latest[str(record["kind"]), float(record["step"])] = record
        except (TypeError, ValueError, KeyError):
            continue
    return [latest[key] for key in sorted(latest, key=lambda key: key[1])]


def _largest(records: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return max((value for record in records if isinstance(value := record.get(name), int | float)), default=None)
