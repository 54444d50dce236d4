"""What can be wrong with variables, collected and said at once."""

from collections.abc import Sequence

from flax.traverse_util import flatten_dict
from jaxtyping import PyTree

SHOWN = 12
"""How many problems an error lists."""


class WeightsError(ValueError):
    """A file of weights does not fit the model; the message lists every entry that does not."""


def misfit(what: str, problems: Sequence[str]) -> WeightsError:
    """The error that lists the first of the problems and counts the rest."""
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return WeightsError("\n  ".join([f"{what}:", *problems[:SHOWN], *more]))


def flat(variables: PyTree) -> dict:
    """Leaves by path: "params/stem/conv/kernel"."""
    return flatten_dict(variables, sep="/")


def is_ours(name: str) -> bool:
    """Whether this is a path of the zoo's own layout."""
    return name.startswith(("params/", "batch_stats/"))


def lies_in(path: str, parts: Sequence[str]) -> bool:
    """Whether a variable belongs to one of these submodules, whatever its collection.

    >>> lies_in("batch_stats/aux1/conv1x1/norm/mean", ("head", "aux1"))
    True
    >>> lies_in("params/headless/bias", ("head",))
    False
    """
    within = path.partition("/")[2]
    return any(within == part or within.startswith(f"{part}/") for part in parts)
