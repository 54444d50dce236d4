"""Files of named arrays, numpy's and safetensors: what is wrong with one is said in a line that names it."""

from pathlib import Path

import numpy as np


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a numpy archive; nothing in it is ever unpickled.

    Raises:
      ValueError: it cannot be read, is damaged, or holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if foreign := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{foreign[0]} is no array")
    except Exception as error:  # numpy raises whatever zipfile, zlib and ast do
        raise ValueError(f"{path} is not a complete npz file of plain arrays: {in_a_line(error)}") from error
    return arrays


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a `.safetensors` file, and its metadata.

    Raises:
      OSError: it cannot be read.
      ValueError: it is damaged, or has arrays of a type that numpy lacks.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError:
        raise
    except Exception as error:  # of types that numpy lacks safetensors raises AttributeError
        raise ValueError(f"{path} is not a complete safetensors file of numpy's types: {in_a_line(error)}") from error


def in_a_line(error: Exception) -> str:
    """What an error says, or where it says nothing what it is.

    >>> in_a_line(EOFError()), in_a_line(ValueError("two\\nlines"))
    ('EOFError', 'two lines')
    """
    return " ".join(str(error).split()) or type(error).__name__
