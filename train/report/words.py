"""Numbers and values as a person reads them, in plain text."""

from typing import Any

NARROW = "\u202f"
"""A narrow space at which no line breaks."""


def plain(value: Any) -> str:
    """A recipe's value as a person writes it.

    >>> plain(None), plain(True), plain([0.5, 0.75]), plain(1e-5), plain("sgd"), plain([])
    ('none', 'yes', '0.5, 0.75', '1e-05', 'sgd', 'none')
    """
    if value is None or value in ([], (), "", {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return str(value)


def percent(part: float, whole: float, digits: int = 2) -> str:
    """The share in percent, never rounded up to a perfect score.

    >>> percent(9173, 10_000), percent(99_999, 100_000), percent(3, 3)
    ('91.73\\u202f%', '99.99\\u202f%', '100.00\\u202f%')
    """
    rounded = round(100 * part / whole, digits)
    if rounded >= 100 and part < whole:
        rounded = 100 - 10**-digits
    return f"{rounded:.{digits}f}{NARROW}%"


def grouped(number: float) -> str:
    """A whole number in groups of three digits, between them a narrow space that does not break."""
    return f"{number:,.0f}".replace(",", NARROW)


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(7.25), duration(83), duration(7500)
    ('7.2 s', '1 min 23 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shorten(text: str, length: int = 18) -> str:
    """The text in at most `length` characters, cut with an ellipsis.

    >>> shorten("great white shark, man-eater")
    'great white shark…'
    """
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip(" ,") + "…"
