"""Reading and writing flat files of named arrays: safetensors, and torch's own where torch is installed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TORCH_SUFFIXES = (".pt", ".pth", ".th")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The named arrays of a `.safetensors`, `.pt`, `.pth` or `.th` file.

    A wrapping {"state_dict": ...} and a prefix "module." of every name are taken off.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another suffix, or the file is damaged or holds something else.
      ImportError: a torch file, and torch is not installed.
    """
    _check_suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}")
    arrays = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    prefix = "module."  # of torch's DataParallel
    if arrays and all(name.startswith(prefix) for name in arrays):
        arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def write_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Writes named arrays; the file appears complete or not at all.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: another suffix than `read_arrays` reads.
      ImportError: a torch file, and torch is not installed.
    """
    _check_suffix(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} in")
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import save_file

            save_file(arrays, unfinished)
        else:
            torch = _torch(path)
            torch.save({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise ValueError(f"{path}: expected a name in .safetensors, {', '.join(TORCH_SUFFIXES)}")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    torch = _torch(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # runs no code from the file
    except Exception as error:  # torch raises whatever pickle and zip do
        raise ValueError(f"{path} is not a torch file of plain tensors: {error}") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path}: expected a state dict, names with tensors, got {type(state).__name__}")
    return {name: value.numpy() for name, value in state.items()}


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is a torch file: pip install 'lecture-vision-zoo[torch]', or convert it to .safetensors"
        ) from error
    return torch
