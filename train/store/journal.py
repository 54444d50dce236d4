"""The run's diary: every metric as a line of `metrics.jsonl` and as a TensorBoard scalar."""

import errno
import io
import json
import os
import platform
import struct
import time
import warnings
from pathlib import Path
from typing import Any

from train.store.files import finite, measured, write_text


class Journal:
    """Appends metrics to a run's folder.

    A disk that is full does not stop a run: lines wait in memory until there is room, and TensorBoard, which
    shows the same, goes without those.

    Args:
      workdir: the run's folder.
      resume_step: drop what an interrupted run wrote after this step; 0 for a fresh run.
      evaluated: whether the checkpoint of this step holds its evaluation; if not, that will be written again.
    """

    def __init__(self, workdir: Path, resume_step: int, evaluated: bool = True) -> None:
        path = workdir / "metrics.jsonl"
        _keep_until(path, resume_step, evaluated)
        self._file = path.open("ab", buffering=0)
        self._waiting = b""
        self._complained = False
        self._board = _Board(workdir / "tensorboard", resume_step)

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Records one line: `kind` is "train" or "eval"; numbers also go to TensorBoard as kind/name."""
        self._waiting += (json.dumps({"kind": kind, "step": step, **finite(values)}) + "\n").encode()
        try:
            while self._waiting:  # a disk that fills up takes part of a line
                self._waiting = self._waiting[self._file.write(self._waiting) :]
            self._board.write(step, {f"{kind}/{name}": value for name, value in values.items()})
        except OSError as error:
            if not self._complained:
                warnings.warn(f"metrics cannot be written ({error}); the run goes on", stacklevel=2)
            self._complained = True

    def close(self) -> None:
        """Closes both."""
        self._file.close()
        self._board.close()


class NoJournal:
    """What processes write that are not the first."""

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Writes nothing."""

    def close(self) -> None:
        """Nothing to close."""


class _Board:
    """A TensorBoard event file, written at once: tensorboardX's own queue would hang on a full disk."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        self._folder, self._resume_step = folder, resume_step
        self._file: io.FileIO | None = None

    def write(self, step: int, values: dict[str, float]) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        if self._file is None:
            self._open()
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        try:
            self._add(step=step, summary=Summary(value=scalars))
        except OSError:
            self.close()  # what follows a torn record would not be read: the next line begins another file
            raise

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _open(self) -> None:
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{platform.node()}"
        self._file = (self._folder / name).open("wb", buffering=0)
        self._add(file_version="brain.Event:2")
        start = SessionLog(status=SessionLog.START)  # hides what an interrupted run wrote after its checkpoint
        self._add(step=self._resume_step + 1, session_log=start)

    def _add(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c

        data = Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(data))
        sums = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
        record = length + next(sums) + data + next(sums)
        if self._file.write(record) < len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, null as nan; a last line that a crash cut short is left out."""
    return [record for _, record in _parsed(path)]


def ordered(path: Path) -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl` in order of step; lines that are not whole records are left out.

    A run that was killed and resumed may hold a step twice: of two records of one kind and step the later counts.
    """
    latest = {}
    for record in read(path):
        try:
            latest[str(record["kind"]), float(record["step"])] = record
        except (TypeError, ValueError, KeyError):
            continue
    return [latest[key] for key in sorted(latest, key=lambda key: key[1])]


def _parsed(path: Path) -> list[tuple[str, dict[str, Any]]]:
    records = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append((line, measured(record)))
    return records


def _keep_until(path: Path, step: int, evaluated: bool) -> None:
    def is_kept(record: dict[str, Any]) -> bool:
        at = record.get("step", step + 1)
        return at < step or (at == step and (evaluated or record.get("kind") != "eval"))

    if path.exists():
        write_text(path, "".join(line + "\n" for line, record in _parsed(path) if is_kept(record)))
