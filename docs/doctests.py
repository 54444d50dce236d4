"""Examples in docstrings as code: Markdown takes a line that begins with >>> for a quotation."""

import re

import griffe

_EXAMPLE = re.compile(r"^([ ]*)(>>> .*(?:\n\1\S.*|\n\1    .*)*)", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts a fence around each example of a docstring."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Changes the docstring of one object, if it has one and is no module with a page of its own making."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The same text with its examples as blocks of code.

    >>> print(fenced("One.\\n\\n>>> 1 + 1\\n2"))
    One.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    """
    return _EXAMPLE.sub(lambda match: f"{match[1]}```pycon\n{match[0]}\n{match[1]}```", text)
