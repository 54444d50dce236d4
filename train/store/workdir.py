"""A run's folder: what was run, with what, how far it came; and the refusal to overwrite any of it."""

import collections
import contextlib
import dataclasses
import fcntl
import importlib.metadata
import io
import json
import os
import platform
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from train import config
from train.config import Recipe, RunError
from train.store.files import is_part, is_text, remove_parts, to_json, write_bytes, write_json
from zoo.arrays import read_npz

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "lecture-vision-zoo")


class Identity(NamedTuple):
    """Of a run's folder: its number on the disk, and when its card was written, of what length."""

    device: int
    number: int
    written: int
    """Nanoseconds since 1970."""
    length: int
    """Bytes."""


class WorkdirError(RunError):
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
    def seen(self) -> Path:
        """The folder of what the task saw of some held-out examples at each evaluation, of a task that follows some."""
        return self.path / "seen"

    @property
    def weights(self) -> Path:
        """The final variables alone, for `zoo.load_weights`."""
        return self.path / "model.safetensors"

    @property
    def average_weights(self) -> Path:
        """The final moving average of the variables, of a recipe that asks for one."""
        return self.path / "model_ema.safetensors"

    @property
    def fingerprint(self) -> Path:
        """A digest of the final variables, with the final metrics."""
        return self.path / "fingerprint.json"

    @property
    def report(self) -> Path:
        """The page about the run, the last file it writes."""
        return self.path / "report.html"

    @property
    def example(self) -> Path:
        """A held-out image, to try `predict` on."""
        return self.path / "example.png"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end and has its report."""
        return self.fingerprint.exists() and self.report.exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other processes from running in it at the same time.

        The lock ends with the process, however that ends. A folder that is still empty then is removed.

        Raises:
          WorkdirError: another process runs here, it is a file, or its path is not text, which a report could not say.
        """
        if not is_text(str(self.path)):
            raise WorkdirError(f"{str(self.path)!r}: expected a path in UTF-8")
        if self.path.exists() and not self.path.is_dir():
            raise WorkdirError(f"{self.path} is a file: expected a folder, or none")
        folder = self._locked_folder()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # before the lock is let go: after it the folder may be another's
                if os.path.samestat(os.fstat(folder), self.path.stat()):
                    self.path.rmdir()
            os.close(folder)

    def _locked_folder(self) -> int:
        """The folder, made where there is none, open and locked: the one that the path leads to."""
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                folder = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:  # who held it has just removed it
                continue
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(folder)
                raise WorkdirError(f"{self.path} is in use by another process that trains there") from None
            except OSError:
                pass  # a file system without locks
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(folder), self.path.stat()):
                    return folder
            os.close(folder)

    def identity(self) -> "Identity":
        """What tells the folder from another one at the same path."""
        folder, card = self.path.stat(), self.card.stat()
        return Identity(folder.st_dev, folder.st_ino, card.st_mtime_ns, card.st_size)

    def check_identity(self, then: "Identity") -> None:
        """Refuses a folder that is not the one that it was: by its number on the disk, or where that has changed by
        the time and length of its card. A bucket or a Drive that is mounted as a folder may number it anew.

        Raises:
          WorkdirError: it was deleted or moved, and perhaps another made in its place.
        """
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            now = self.identity()
            if now[:2] == then[:2] or now[2:] == then[2:]:
                return
        raise WorkdirError(f"{self.path} was deleted or moved while the run went on: it cannot be saved there")

    def read_recipe(self) -> Recipe:
        """The recipe of the run that is here.

        Raises:
          WorkdirError: there is no run here, or its recipe cannot be read.
        """
        values = self.read_card().get("recipe")
        try:
            return config.from_dict(values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WorkdirError(f"{self.card} holds no recipe that this version can read: {error}") from error

    def read_card(self) -> dict[str, Any]:
        """The whole of `recipe.json`.

        Raises:
          WorkdirError: there is no run here, or the file is damaged.
        """
        if not self.card.exists():
            raise WorkdirError(f"{self.path} holds no run: expected {self.card.name} in it")
        try:
            card = json.loads(self.card.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise WorkdirError(f"{self.card} is damaged: {error}") from error
        if not isinstance(card, dict):
            raise WorkdirError(f"{self.card} is damaged: expected an object, found {type(card).__name__}")
        return card

    def read_fingerprint(self) -> str:
        """The digest of the final variables.

        Raises:
          WorkdirError: the run is not finished, or the file is damaged.
        """
        if not self.finished:
            raise WorkdirError(f"{self.path} is not finished; a run can be compared with once it is")
        try:
            return json.loads(self.fingerprint.read_text(encoding="utf-8"))["fingerprint"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise WorkdirError(f"{self.fingerprint} is damaged: {error!r}") from error

    def claim(self, recipe: Recipe) -> None:
        """Refuses a folder that a fresh run of `recipe` must not write to.

        What a process that was killed had only begun to write is no content, see `clean`.

        Raises:
          WorkdirError: it holds a run, finished or not, of this recipe or another, or other files.
        """
        if not self.path.exists() or all(map(is_part, self.path.iterdir())):
            return
        if not self.card.exists():
            raise WorkdirError(f"{self.path} is not empty and holds no run; choose another workdir")
        self.check(recipe)
        if self.finished:
            raise WorkdirError(f"{self.path} holds this run, finished; choose another workdir to repeat it")
        raise WorkdirError(f"{self.path} holds this run, unfinished; go on with: {how_to_resume(self.path)}")

    def clean(self) -> None:
        """Removes what killed processes had begun to write; only who holds the lock may, on a folder of its own."""
        for folder in (self.path, self.seen, *self.checkpoints.glob("*")):
            remove_parts(folder)

    def withdraw(self) -> None:
        """Takes back the card of a run that was refused before it began."""
        self.card.unlink(missing_ok=True)

    def check(self, recipe: Recipe) -> None:
        """Refuses a recipe that is not the one of the run that is here.

        Raises:
          WorkdirError: it differs, and in which fields; or there is no run here.
        """
        fields = config.differences(self.read_recipe(), recipe)
        if fields:
            listed = "\n  ".join(fields)
            raise WorkdirError(
                f"{self.path} holds a run of a different recipe; choose another workdir. It differs in\n  {listed}"
            )

    def write_card(self, recipe: Recipe, about: dict[str, Any]) -> None:
        """Writes `recipe.json`: the recipe, `about` the model and data, versions and devices."""
        card = {"recipe": config.to_dict(recipe), **about, "versions": versions(), "devices": devices()}
        write_json(self.card, card)

    def keep_seen(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes what an evaluation saw; nothing of a task that follows no examples."""
        if not arrays:
            return
        self.seen.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write_bytes(self.seen / f"{step}.npz", buffer.getvalue())

    def read_seen(self) -> list[tuple[int, dict[str, np.ndarray]]]:
        """What the evaluations saw, with their steps, in order; a file that cannot be read is left out."""
        steps = sorted(int(file.stem) for file in self.seen.glob("*.npz") if file.stem.isdecimal())
        found = []
        for step in steps:
            try:
                found.append((step, read_npz(self.seen / f"{step}.npz")))
            except ValueError:
                continue
        return found

    def read_fitted(self) -> dict[str, Any] | None:
        """What the run's task learned before training; None of a run that never came so far.

        Raises:
          WorkdirError: there is no run here, or the card is damaged.
        """
        card = self.read_card()
        if "task" not in card:
            return None
        try:
            return dict(card["task"]["fitted"])
        except (KeyError, TypeError, ValueError) as error:
            raise WorkdirError(f"{self.card} does not say what the run learned: {error!r}") from error

    def check_about(self, about: dict[str, Any]) -> None:
        """Refuses model or data that are not what the run began with, as far as `write_card` was told.

        Raises:
          WorkdirError: names what differs.
        """
        then, now = config.flat_names(self.read_card()), config.flat_names(json.loads(to_json(about)))
        changed = [f"{name}: {then[name]} -> {now[name]}" for name in now if then.get(name, now[name]) != now[name]]
        if changed:
            listed = "\n  ".join(changed)
            raise WorkdirError(
                f"{self.path}: model or data are not what this run began with. They differ in\n  {listed}"
            )

    def changes(self) -> list[str]:
        """What decides a result bit by bit and is not now what it was, as lines "jax: 0.10.2 -> 0.11.0"."""
        card = self.read_card()
        then = {**card.get("versions", {}), "devices": _counted(card.get("devices", ()))}
        now = {**versions(), "devices": _counted(devices())}
        return [f"{name}: {then.get(name)} -> {value}" for name, value in now.items() if then.get(name) != value]


def _counted(devices: Iterable[str]) -> str:
    """Such as "8 x cpu" of what `devices` lists."""
    kinds = collections.Counter(device.partition("(")[2].removesuffix(")") for device in devices)
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())


def resume_command(path: Path) -> str:
    """What to type to go on with a run."""
    return f"python -m train resume {shlex.quote(str(path))}"


def how_to_resume(path: Path) -> str:
    """The same, and what a program says instead."""
    return f"{resume_command(path)} (in Python train.resume({str(path)!r}))"


def take_free_folder(root: Path, name: str) -> Path:
    """Makes the first of root/name, root/name-2, root/name-3, ... that does not exist: nobody else gets it."""
    path, number = root / name, 1
    while True:
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            number += 1
            path = root / f"{name}-{number}"


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
