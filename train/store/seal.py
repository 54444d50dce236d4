"""The seal on a checkpoint's folder: what it holds, and a digest of every file, written last.

A folder without a seal was never finished; one whose files do not agree with it is damaged. The format that
orbax writes does not notice a flipped bit in an array, and says little of use about a file that is cut short.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from train.store.files import measured, to_json, write_text

NAME = "seal.json"


class DamagedError(RuntimeError):
    """A checkpoint's files are not what was written."""


@dataclasses.dataclass(frozen=True)
class Seal:
    """What a finished checkpoint says of itself."""

    arrays: dict[str, str]
    """Type and shape of each array of the state, such as {"params/output/bias": "float32[10]"}."""
    progress: dict[str, Any]
    """What the loop needs beside the state."""
    metrics: dict[str, float] | None
    """The evaluation at this step, if there was one; nan is null in the file."""
    recipe: dict[str, Any]
    """Of the run that wrote it."""
    files: dict[str, str]
    """The sha256 of each file, by its path in the folder."""
    step: int | None = None
    """The step it is of, which is its folder's name; None in seals of earlier versions."""


def seal(
    folder: Path,
    arrays: dict[str, str],
    progress: dict[str, Any],
    metrics: dict[str, float] | None,
    recipe: dict[str, Any],
) -> None:
    """Seals a folder whose files are complete; its name is the step."""
    _write(folder, Seal(arrays, progress, metrics, recipe, _digests(folder), int(folder.name)))


def amend(folder: Path, progress: dict[str, Any], metrics: dict[str, float] | None) -> None:
    """Replaces what the seal says of the run, as a whole; the files stay as they are."""
    _write(folder, dataclasses.replace(read(folder), progress=progress, metrics=metrics))


def is_sealed(folder: Path) -> bool:
    """Whether the folder was finished; says nothing of damage."""
    return (folder / NAME).is_file()


def read(folder: Path) -> Seal:
    """What the seal says, without a look at the files.

    Raises:
      DamagedError: there is no seal, it is not as it was written, or it is of another folder.
    """
    if not is_sealed(folder):
        raise DamagedError("it was never finished")
    try:
        whole = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if whole["sha256"] != _digest_of(whole["seal"]):
            raise DamagedError(f"{NAME} was changed")
        sealed = Seal(**whole["seal"])
        if sealed.metrics is not None:
            sealed = dataclasses.replace(sealed, metrics=measured(sealed.metrics))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{NAME} is damaged") from error
    if sealed.step is not None and str(sealed.step) != folder.name:
        raise DamagedError(f"expected a checkpoint of step {folder.name}, found one of step {sealed.step}")
    return sealed


def verify(folder: Path) -> Seal:
    """What the seal says, if every file is as it was written.

    Raises:
      DamagedError: one is missing or was changed, and which.
    """
    sealed = read(folder)
    found = _digests(folder)
    for name, digest in sealed.files.items():
        if name not in found:
            raise DamagedError(f"{name} is missing")
        if found[name] != digest:
            raise DamagedError(f"{name} is damaged")
    return sealed


def _write(folder: Path, content: Seal) -> None:
    body = json.loads(to_json(dataclasses.asdict(content)))  # as it will be read
    write_text(folder / NAME, to_json({"sha256": _digest_of(body), "seal": body}))


def _digest_of(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != NAME and not path.name.startswith("."):
            with path.open("rb") as file:
                digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
