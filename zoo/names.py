"""Errors for names that do not exist: what was asked for, and the nearest names that do."""

import difflib
from collections.abc import Iterable


class UnknownNameError(KeyError):
    """A name that is in no table; its message offers the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the quoted repr


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error to raise for `name`, which is not among the `known` names of this `kind`.

    >>> str(unknown("model", "lenet", ["lenet5", "mlp"]))
    "no model 'lenet'; nearest: lenet5"
    >>> str(unknown("model", "xyz", ["lenet5", "mlp"]))
    "no model 'xyz'; known: lenet5, mlp"
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=5, cutoff=0.5)
    if nearest:
        return UnknownNameError(f"no {kind} {name!r}; nearest: {', '.join(nearest)}")
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return UnknownNameError(f"no {kind} {name!r}; known: {shown or '(none)'}")
