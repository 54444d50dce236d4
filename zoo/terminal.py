"""Text of others at a terminal: names of files, classes and arrays may hold anything, and not every terminal has it."""

import contextlib
import re
import sys

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and newline, changes of the direction of writing, and bytes that are no text."""


def visible(text: str) -> str:
    """The text with what a terminal would obey, or could not show, written out.

    >>> print(visible("a\\x1b[2Jb"), visible("\\u732b"))
    a\\x1b[2Jb \u732b
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def write_out_unknown_characters() -> None:
    """Lets both outputs of the program write out what their encoding lacks, such as \\u732b, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(OSError):  # it writes what it still holds, and a disk may be full
                stream.reconfigure(errors="backslashreplace")
