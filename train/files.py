"""Small files that appear whole or not at all, whatever happens to the program or the disk meanwhile."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes a file under a temporary name, and renames it once its bytes are on the disk."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes a json file, indented for people."""
    write_text(path, json.dumps(value, indent=1) + "\n")
