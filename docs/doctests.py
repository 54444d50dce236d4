"""Examples in docstrings as code: Markdown takes a line that begins with >>> for a quotation."""

import re

import griffe

_EXAMPLE = re.compile(r"^([ ]*)(>>> .*(?:\n\1\S.*|\n\1    .*)*)", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts a fence around each example of a docstring, and leaves out what only Python itself calls."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Changes the docstring of one object, if it has one."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **_: object) -> None:
        """Drops `__repr__` and the like that have no docstring."""
        for name, member in list(cls.members.items()):
            if name.startswith("__") and member.is_function and not member.docstring and name != "__init__":
                cls.del_member(name)


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
