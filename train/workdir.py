"""A run's folder: what was run, with what, how far it came; and the refusal to overwrite any of it."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import jax

from train import recipe as recipes
from train.recipe import Recipe

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "lecture-vision-zoo")


class WorkdirError(RuntimeError):
    """The folder holds something that this run must not touch."""


@dataclasses.dataclass(frozen=True)
class Workdir:
    """The paths under one run's folder."""

    path: Path

    @property
    def card(self) -> Path:
        """The recipe with versions, devices and what the data looked like."""
        return self.path / "recipe.json"

    @property
    def metrics(self) -> Path:
        """One json object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of orbax's checkpoints."""
        return self.path / "checkpoints"

    @property
    def fingerprint(self) -> Path:
        """Written last: a run that has one is finished."""
        return self.path / "fingerprint.json"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.fingerprint.exists()

    def read_recipe(self) -> Recipe:
        """The recipe of the run that is here.

        Raises:
          WorkdirError: there is no run here.
        """
        return recipes.load(self._existing_card())

    def read_card(self) -> dict[str, Any]:
        """The whole of `recipe.json`."""
        return json.loads(self._existing_card().read_text())

    def claim(self, recipe: Recipe) -> None:
        """Refuses a folder that a fresh run of `recipe` must not write to.

        Raises:
          WorkdirError: it holds a run, finished or not, of this recipe or another, or other files.
        """
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not self.card.exists():
            raise WorkdirError(f"{self.path} is not empty and holds no run; choose another --workdir")
        fields = recipes.differences(self.read_recipe(), recipe)
        if fields:
            listed = "\n  ".join(fields)
            raise WorkdirError(
                f"{self.path} holds a run of a different recipe; choose another --workdir. It differs in\n  {listed}"
            )
        if self.finished:
            raise WorkdirError(f"{self.path} holds this run, finished; choose another --workdir to repeat it")
        raise WorkdirError(f"{self.path} holds this run, unfinished; go on with: {resume_command(self.path)}")

    def write_card(self, recipe: Recipe, about: dict[str, Any]) -> None:
        """Writes `recipe.json`: the recipe, `about` the model and data, versions and devices."""
        card = {"recipe": recipes.to_dict(recipe), **about, "versions": versions(), "devices": devices()}
        write_json(self.card, card)

    def _existing_card(self) -> Path:
        if not self.card.exists():
            raise WorkdirError(f"{self.path} holds no run: expected {self.card.name} in it")
        return self.card


def resume_command(path: Path) -> str:
    """What to type to go on with a run."""
    return f"python -m train resume {path}"


def free_workdir(root: Path, name: str) -> Path:
    """The first of root/name, root/name-2, root/name-3, ... that does not exist."""
    path, number = root / name, 1
    while path.exists():
        number += 1
        path = root / f"{name}-{number}"
    return path


def write_json(path: Path, value: Any) -> None:
    """Writes a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(part, path)


def versions() -> dict[str, str]:
    """The versions that decide a run's result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def devices() -> list[str]:
    """The devices in use, such as "cpu:0 (cpu)"."""
    return [f"{device.platform}:{device.id} ({device.device_kind})" for device in jax.devices()]
