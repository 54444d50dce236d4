"""What every error of a run has in common."""


class RunError(Exception):
    """A run cannot go on, through no fault of the program; the message says why, and what to do."""
