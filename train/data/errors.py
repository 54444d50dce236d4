"""The error of every source: which file or array is wrong, what was expected, what came."""


class DataError(ValueError):
    """Data that cannot be used as it is; the message names the place and the remedy."""
