"""A sweep's folder: what it searches, its trials' runs, and which processes are at work in it.

A process that is at work holds a lock on a file of its own below `workers`, which ends with the process, however that
ends: so a trial whose process was killed is known at once. What several processes must not do at the same time they do
under the lock of the folder. Where a file system has no locks, every process is taken to be alive.
"""

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.config import RecipeError, RunError, flat_names, from_dict, to_dict
from train.store.files import write_json


class SweepError(RunError):
    """A sweep cannot begin or go on; the message says why."""


@dataclasses.dataclass(frozen=True)
class SweepFolder:
    """The paths under one sweep's folder."""

    path: Path

    @property
    def card(self) -> Path:
        """What is searched, for what, with what."""
        return self.path / "sweep.json"

    @property
    def database(self) -> Path:
        """The trials, unless they are kept elsewhere."""
        return self.path / "sweep.db"

    @property
    def report(self) -> Path:
        """The page about the sweep."""
        return self.path / "report.html"

    @property
    def workers(self) -> Path:
        """A file for each process that is at work."""
        return self.path / "workers"

    def trial(self, name: str) -> Path:
        """The folder of a trial's run."""
        return self.path / name

    def claim(self, card: dict[str, Any]) -> bool:
        """Makes the folder this sweep's, or finds that it is; under its lock.

        Returns:
          whether it is new.

        Raises:
          SweepError: it holds another sweep, and in what that differs, or files of something else.
        """
        if not self.card.exists():
            self.refuse_others()
            write_json(self.card, card)
            return True
        if changes := self._changes(card):
            listed = "\n  ".join(changes)
            raise SweepError(f"{self.path} holds another sweep; choose another workdir. It differs in\n  {listed}")
        return False

    def refuse_others(self) -> None:
        """Refuses a folder of something else.

        Raises:
          SweepError: it is a file, or not empty and holds no sweep.
        """
        if self.path.exists() and not self.path.is_dir():
            raise SweepError(f"{self.path} is a file: expected a folder, or none")
        if self.path.exists() and not self.card.exists() and self._content():
            raise SweepError(f"{self.path} is not empty and holds no sweep; choose another workdir")

    def withdraw(self) -> None:
        """Takes back a new folder of a sweep that cannot begin."""
        for file in (self.card, self.database, self.lock):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody has put something there
            self.path.rmdir()

    def is_of(self, card: dict[str, Any]) -> bool:
        """Whether it can be this sweep's: it is there already, or nothing is.

        Raises:
          SweepError: the card that is there is damaged.
        """
        # One whose lock is there is being claimed, by a process that names it: its card may be on the way.
        with self.locked() if self.lock.exists() else contextlib.nullcontext():
            if self.card.exists():
                return not self._changes(card)
            return not self.path.exists() or (self.path.is_dir() and not self._content())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes waiting that want the same."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def token(self) -> str:
        """What no other folder has, wherever this one is moved; kept in the file of its lock. Under that lock."""
        with self.lock.open("a+", encoding="utf-8") as file:
            file.seek(0)
            if not (text := file.read()):
                text = uuid.uuid4().hex
                file.write(text)
        return text

    @contextlib.contextmanager
    def at_work(self) -> Iterator[str]:
        """Shows the others that this process is alive; gives its name among them."""
        self.workers.mkdir(parents=True, exist_ok=True)
        file, name = tempfile.mkstemp(prefix="worker-", dir=self.workers)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield Path(name).name
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)
            os.close(file)

    def is_at_work(self, worker: str) -> bool:
        """Whether a process is alive, by its name from `at_work`."""
        try:
            file = os.open(self.workers / worker, os.O_RDWR)
        except OSError:
            return False  # it took its file away
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(file)

    def sweep_away(self, worker: str) -> None:
        """Takes away the file of a process that is not alive."""
        (self.workers / worker).unlink(missing_ok=True)

    @property
    def lock(self) -> Path:
        """The file that `locked` locks; there as soon as a process has begun to claim the folder."""
        return self.path / ".lock"

    def _content(self) -> list[Path]:
        """What is in the folder, but for its lock."""
        return [entry for entry in self.path.iterdir() if entry != self.lock]

    def _changes(self, card: dict[str, Any]) -> list[str]:
        """In what a sweep differs from the one that is here, as lines."""
        try:
            then = flat_names(_today(json.loads(self.card.read_text(encoding="utf-8"))))
        except (ValueError, RecursionError) as error:
            raise SweepError(f"{self.card} is damaged: {error}") from error
        now = flat_names(json.loads(json.dumps(card)))
        names = [name for name in {**then, **now} if then.get(name, "nothing") != now.get(name, "nothing")]
        return [f"{name}: {then.get(name, 'nothing')!r} -> {now.get(name, 'nothing')!r}" for name in names]


def _today(card: dict[str, Any]) -> dict[str, Any]:
    """A card with the default values of what recipes did not have yet when it was written."""
    if not isinstance(card.get("recipe"), dict):
        return card
    with contextlib.suppress(RecipeError):  # what it holds is compared as it is
        return {**card, "recipe": json.loads(json.dumps(to_dict(from_dict(card["recipe"]))))}
    return card


def claimed(card: dict[str, Any], path: Path | None, root: Path, name: str) -> tuple[SweepFolder, bool]:
    """The folder of a sweep, made where there is none, and whether it is new.

    Args:
      card: what the sweep is.
      path: the folder; by default that of this very sweep among root/name, root/name-2, ..., or else the first free.
      root: the folder of all sweeps.
      name: of this one.

    Raises:
      SweepError: the folder holds another sweep, or something else; or the card that is there is damaged.
    """
    if path is not None:
        folder = SweepFolder(path)
        try:
            folder.refuse_others()  # before a lock is left there
        except SweepError:
            if not folder.lock.exists():  # else another process may be about to leave its card; see `claim`
                raise
        with folder.locked():
            return folder, folder.claim(card)
    with SweepFolder(root).locked():  # of several processes that start at the same time
        paths = (root / (name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
        folder = next(found for found in map(SweepFolder, paths) if found.is_of(card))
        folder.path.mkdir(exist_ok=True)
        return folder, folder.claim(card)
