"""What every part of a recipe is: a frozen dataclass of plain values that checks itself."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from train.config.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class Config:
    """Values of declared types, in their ranges.

    Raises:
      RecipeError: a value is of another type, or out of range; the message names the field.
    """

    section: ClassVar[str] = ""
    """What the part is called in a recipe; empty for the recipe itself."""
    most: ClassVar[Mapping[str, int]] = types.MappingProxyType({})
    """The largest values of fields with which a digit too many would take all memory, processes or time."""

    def __post_init__(self) -> None:
        if misfits := self._misfits():
            raise RecipeError("; ".join(misfits))
        fine = {field.name: not _has_nan(getattr(self, field.name)) for field in dataclasses.fields(self)}
        fine |= {name: is_in for name, is_in in self.ranges().items() if fine.get(name, True)}
        bad = [f"{self._path(name)}={getattr(self, name)!r}" for name in fine if not fine[name]]
        if bad:
            raise RecipeError(f"out of range: {', '.join(bad)}")
        if large := [name for name, most in self.most.items() if (getattr(self, name) or 0) > most]:
            said = (
                f"{self._path(name)}: expected at most {self.most[name]:,}, got {getattr(self, name):,}"
                for name in large
            )
            raise RecipeError("; ".join(said))

    def ranges(self) -> dict[str, bool]:
        """Fields whose values are limited, and whether this one is in its range."""
        return {}

    def _misfits(self) -> list[str]:
        """The fields whose value is not of the declared type, or not among the declared choices."""
        found = []
        for field in dataclasses.fields(self):
            value, hint = getattr(self, field.name), _hints(type(self))[field.name]
            if not fits(value, hint):
                expected = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
                found.append(f"{self._path(field.name)}: expected {expected}, got {value!r}")
        return found

    def _path(self, name: str) -> str:
        return f"{self.section}.{name}" if self.section else name


def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _has_nan(value: Any) -> bool:
    return any(map(_has_nan, value)) if isinstance(value, tuple) else isinstance(value, float) and math.isnan(value)


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a declared type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is types.UnionType:
        return any(fits(value, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(element, arguments[0]) for element in value)
    if isinstance(value, bool):  # to Python a bool is an int
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
