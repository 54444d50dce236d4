"""How many training examples there are of sources that compose them by rule: as many as one asks for."""

from train.config import RecipeError

LARGEST = 100_000
"""Examples that may be asked for: scenes of digits then take four minutes to compose, and 6 GiB."""


def training_count(text: str) -> int:
    """What a recipe says after the colon of `scenes:4000`.

    Raises:
      RecipeError: that is not a number from 1 to `LARGEST`.

    >>> training_count("4000")
    4000
    """
    if text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST:
        return int(text)
    raise RecipeError(
        f"data.source: expected how many training examples, 1 to {LARGEST}, after the colon, got {text!r}"
    )
