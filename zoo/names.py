"""Errors for names that do not exist: what was asked for, and the nearest names that do."""

import difflib
from collections.abc import Iterable

_SHOWN = 5
_LONGER_SHOWN = 3
"""Names that hold what was asked for as a part."""
_LEAST_PART = 4
"""Letters of such a part: shorter ones are in too many names."""


class UnknownNameError(KeyError):
    """A name that is in no table; its message offers the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the quoted repr


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error to raise for `name`, which is not among the `known` names of this `kind`.

    >>> str(unknown("model", "lenet", ["lenet5", "mlp"]))
    "no model 'lenet'; nearest: lenet5"
    >>> str(unknown("model", "resnet32", ["cifar_resnet32", "resnet18", "resnet34"]))
    "no model 'resnet32'; nearest: cifar_resnet32, resnet34, resnet18"
    >>> str(unknown("model", "xyz", ["lenet5", "mlp"]))
    "no model 'xyz'; known: lenet5, mlp"
    """
    known = sorted(known)
    asked = name.lower()
    longer = sorted((one for one in known if asked in one.lower()), key=len) if len(asked) >= _LEAST_PART else []
    close = difflib.get_close_matches(asked, known, n=_SHOWN, cutoff=0.5)
    nearest = list(dict.fromkeys([*longer[:_LONGER_SHOWN], *close]))[:_SHOWN]
    if nearest:
        return UnknownNameError(f"no {kind} {name!r}; nearest: {', '.join(nearest)}")
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return UnknownNameError(f"no {kind} {name!r}; known: {shown or '(none)'}")
