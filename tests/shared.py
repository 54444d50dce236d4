"""Finds the folder of real data and trained weights that some tests measure against; they skip where it is absent."""

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared"


def shared(*parts: str) -> Path:
    """The path of a shared test resource, or a skip that says what is missing.

    The folder `shared` is looked for beside the checkout, or where the variable ZOO_SHARED points.
    """
    path = Path(os.environ.get("ZOO_SHARED", _DEFAULT)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {Path(*parts)} in the shared data folder, which is not here (set ZOO_SHARED)")
    return path
