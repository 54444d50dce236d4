"""Prototypes and the names of their classes in one file: `.npz`, or `.safetensors`, which other programs read too.

They are placed once, before training, and kept (lecture row L80): so they have files of their own.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.arrays import read_npz, read_safetensors

SUFFIXES = (".npz", ".safetensors")
ARRAY, NAMES = "prototypes", "class_names"
"""Under what they stand in the file; the names as a list in JSON, in `.safetensors` of the metadata."""
TOLERANCE = 1e-3
"""How far from 1 the length of a prototype may be."""


def save_prototypes(
    path: str | os.PathLike[str], prototypes: Float[Array, "classes dims"], class_names: Sequence[str] = ()
) -> None:
    """Writes them bit for bit; the file appears complete or not at all, in place of one that was there.

    Args:
      path: in `.npz` or `.safetensors`.
      prototypes: unit vectors of float32 or float64.
      class_names: one for each prototype in order, or none.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: another suffix, or not finite unit vectors in rows, or another number of names.
    """
    import numpy as np

    path = check_path(path)
    vectors, names = np.ascontiguousarray(prototypes), list(class_names)
    _check(vectors, names, path)
    listed = json.dumps(names)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".npz":
            with unfinished.open("wb") as file:  # to a name numpy would add its suffix
                np.savez(file, **{ARRAY: vectors, NAMES: np.array(listed)})
        else:
            from safetensors.numpy import save  # its `save_file` makes files that nobody else may read

            unfinished.write_bytes(save({ARRAY: vectors}, {NAMES: listed}))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_prototypes(path: str | os.PathLike[str]) -> tuple[Float[Array, "classes dims"], tuple[str, ...]]:
    """The prototypes and the names of their classes, none where none were given; runs no code from the file.

    Float64 stays so where jax has 64 bits enabled, and is rounded to float32 elsewhere.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another suffix, or a file that is damaged or holds what `save_prototypes` refuses.
    """
    path = Path(path)
    _check_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"no prototypes file {path}")
    vectors, listed = _read(path)
    try:
        names = json.loads(listed)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {NAMES}: expected a list in JSON, got {listed!r:.200}") from error
    _check(vectors, names, path)
    return jnp.asarray(vectors), tuple(names)


def check_path(path: str | os.PathLike[str]) -> Path:
    """The path, if prototypes can be written there: for asking before they are computed.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: another suffix.
    """
    path = Path(path)
    _check_suffix(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} in")
    return path


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a name in {' or '.join(SUFFIXES)}")


def _check(vectors: Any, names: Any, path: Path) -> None:
    import numpy as np

    if vectors.dtype not in (np.float32, np.float64):
        raise ValueError(f"{path}: {ARRAY}: expected float32 or float64, got {vectors.dtype}")
    if vectors.ndim != 2 or not vectors.size:
        raise ValueError(f"{path}: {ARRAY}: expected rows of a shape (classes, dims), got {vectors.shape}")
    if not np.isfinite(vectors).all():
        row = np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0]
        raise ValueError(f"{path}: {ARRAY}: expected finite numbers, got others in row {row}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    worst = np.abs(lengths - 1).argmax()
    if abs(lengths[worst] - 1) > TOLERANCE:
        raise ValueError(f"{path}: {ARRAY}: expected unit vectors, got the length {lengths[worst]:.6g} in row {worst}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: {NAMES}: expected a list of strings, got {names!r:.200}")
    if names and len(names) != len(vectors):
        raise ValueError(f"{path}: {NAMES}: expected one for each of {len(vectors)} prototypes, got {len(names)}")


def _read(path: Path) -> tuple[Any, str]:
    arrays, metadata = (read_npz(path), {}) if path.suffix == ".npz" else read_safetensors(path)
    if ARRAY not in arrays:
        raise ValueError(f"{path}: expected an array {ARRAY!r} in it, got {', '.join(arrays) or 'none'}")
    return arrays[ARRAY], str(arrays.get(NAMES, "[]")) if path.suffix == ".npz" else metadata.get(NAMES, "[]")
