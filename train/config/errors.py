"""The errors that a person can mend: what was expected, what came, and where. Any other is a fault of the program."""


class RunError(Exception):
    """A run cannot go on, through no fault of the program; the message says why, and what to do."""


class LostProcessError(RunError):
    """What several processes compute together failed: another of them ended, or cannot be reached."""


class RecipeError(ValueError):
    """A recipe asks for something impossible; the message says what."""


class DataError(RunError, ValueError):
    """Data that cannot be used as it is; the message names the place and the remedy."""
