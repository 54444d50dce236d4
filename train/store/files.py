"""Small files that appear whole or not at all, whatever happens to the program or the disk meanwhile."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file under a temporary name, renames it once its bytes are on the disk, and returns its path."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    return path


def write_text(path: Path, text: str) -> None:
    """Writes a text file, in UTF-8."""
    write_bytes(path, text.encode())


def finite(value: Any) -> Any:
    """Measured values as json has them: null, which is None, in place of each number that is not finite.

    >>> finite({"loss": math.nan, "curve": [(1, 0.5), (2, math.inf)]})
    {'loss': None, 'curve': [[1, 0.5], [2, None]]}
    """
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measured(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers by name as they were before `finite`, nan where they were not finite."""
    return {name: math.nan if value is None else value for name, value in values.items()}


def write_json(path: Path, value: Any) -> None:
    """Writes a json file, indented for people."""
    write_text(path, json.dumps(value, indent=1) + "\n")
