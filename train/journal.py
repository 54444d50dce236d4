"""The run's diary: every metric as a line of `metrics.jsonl` and as a TensorBoard scalar."""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """Appends metrics to a run's folder.

    Args:
      workdir: the run's folder.
      resume_step: drop what an interrupted run wrote after this step; 0 for a fresh run.
    """

    def __init__(self, workdir: Path, resume_step: int) -> None:
        from tensorboardX import SummaryWriter

        self._path = workdir / "metrics.jsonl"
        _keep_until(self._path, resume_step)
        self._file = self._path.open("a", buffering=1)
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=resume_step + 1)

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Records one line: `kind` is "train" or "eval"; numbers also go to TensorBoard as kind/name."""
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, float):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Flushes and closes both."""
        self._file.close()
        self._board.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last line that a crash cut short is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _keep_until(path: Path, step: int) -> None:
    kept = [record for record in read(path) if record["step"] <= step]
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(record) + "\n" for record in kept))
    os.replace(part, path)
