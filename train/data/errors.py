"""The error of every source: which file or array is wrong, what was expected, what came."""

from train.errors import RunError


class DataError(RunError, ValueError):
    """Data that cannot be used as it is; the message names the place and the remedy."""
