"""Small files that appear whole or not at all, whatever happens to the program or the disk meanwhile."""

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PART = re.compile(r"\..+\.\d+\.part")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
_IN_JSON = {"Infinity": "1e999", "-Infinity": "-1e999", "NaN": "null"}


def is_part(path: Path) -> bool:
    """Whether a file is one that `whole` had begun, by its name.

    >>> is_part(Path("run/.recipe.json.17.part")), is_part(Path("run/recipe.json"))
    (True, False)
    """
    return _PART.fullmatch(path.name) is not None


def remove_parts(folder: Path) -> None:
    """Removes what killed processes had begun to write into a folder; no other may be writing there."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if is_part(path):
            with contextlib.suppress(OSError):
                path.unlink()


def is_text(text: str) -> bool:
    """Whether a name can be written: those of files in another encoding than UTF-8 cannot.

    >>> is_text("caf\\u00e9"), is_text("caf\\udce9")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file under a temporary name for as long as the block writes it, renamed once its bytes are on the disk.

    Raises:
      OSError: the disk refused, with the path of the file itself; errors of the block about other files are its own.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            yield part
        except OSError as error:
            if error.errno and error.filename is not None and str(error.filename) == str(part):
                raise OSError(error.errno, error.strerror, str(path)) from error
            raise
        with _named(path):
            with part.open("r+b") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of writing a file have its path, not that of its part, and not none."""
    try:
        yield
    except OSError as error:
        if error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_bytes(path: Path, content: bytes) -> Path:
    """Writes a file under a temporary name, renames it once its bytes are on the disk, and returns its path."""
    with whole(path) as part, _named(path), part.open("wb") as file:
        file.write(content)
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


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as json, which has no word for what is not finite, though Python writes some.

    Infinity is a number too large for a float, which is read as infinity again; nan is null, which is None.

    >>> to_json({"clip_norm": math.inf, "loss": math.nan})
    '{"clip_norm": 1e999, "loss": null}'
    >>> json.loads(to_json(-math.inf))
    -inf
    """
    return _TOKEN.sub(lambda found: _IN_JSON.get(found[0], found[0]), json.dumps(value, indent=indent))


def write_json(path: Path, value: Any) -> None:
    """Writes a json file, indented for people; see `to_json`."""
    write_text(path, to_json(value, indent=1) + "\n")
