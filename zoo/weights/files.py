"""Reading and writing flat files of named arrays: safetensors, and torch's own where torch is installed."""

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

TORCH_SUFFIXES = (".pt", ".pth", ".th")
WRAPPINGS = ("state_dict", "model")
"""Where a checkpoint keeps its state dict beside the epoch and the like: DataParallel's habit, and torchvision's."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The named arrays of a `.safetensors`, `.pt`, `.pth` or `.th` file.

    A wrapping {"state_dict": ...} or {"model": ...} and a prefix "module." of every name are taken off. Of torch's
    tensors, sparse ones become dense, and types that numpy lacks, such as bfloat16, float32.

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

            unfinished.touch()
            mode = unfinished.stat().st_mode  # that of new files; `save_file` makes some that nobody else may read
            save_file(arrays, unfinished)
            unfinished.chmod(mode)
        else:
            torch = _torch(path)
            torch.save({name: _tensor(array, torch) for name, array in arrays.items()}, unfinished)
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
        with torch.serialization.safe_globals([argparse.Namespace]):  # torchvision's options, beside the weights
            state = torch.load(path, map_location="cpu", weights_only=True)  # runs no code from the file
    except OSError:
        raise
    except Exception as error:  # torch raises whatever pickle and zip do, and advises to run the file's code
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        why = f"it holds {foreign[1]}" if foreign else "it is damaged or of another kind"
        raise ValueError(f"{path} is not a torch file of plain tensors: {why}") from None
    for wrapping in WRAPPINGS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapping), Mapping):
            state = state[wrapping]
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict, names with tensors, got a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            got = f"{name!r} with a {type(value).__name__}"
            raise ValueError(f"{path}: expected a state dict, names with tensors, got {got}")
    return {name: _array(value, torch) for name, value in state.items()}


def _array(tensor: Any, torch: Any) -> np.ndarray:
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype.is_floating_point and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.float()
    return tensor.numpy(force=True)  # of parameters too, which need gradients


def _tensor(array: np.ndarray, torch: Any) -> Any:
    if array.dtype.name == "bfloat16":  # torch has it, but does not know numpy's
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is a torch file: pip install 'lecture-vision-zoo[torch]', or convert it to .safetensors"
        ) from error
    return torch
