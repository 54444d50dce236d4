"""Tables for notebooks, as HTML that looks like the notebook around it."""

import html
from collections.abc import Iterable

_CELL = "text-align:left;vertical-align:top;padding:.1rem 1rem .1rem 0"


def html_rows(rows: Iterable[tuple[str, str]], title: str = "") -> str:
    """A table of names and values, with a title above.

    >>> html_rows([("name", "a < b")]).count("a &lt; b")
    1
    """
    cells = "".join(
        f'<tr><th style="{_CELL};font-weight:normal;opacity:.7">{html.escape(name)}</th>'
        f'<td style="{_CELL}">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    heading = f"<b>{html.escape(title)}</b>" if title else ""
    return f'<div>{heading}<table style="border:0">{cells}</table></div>'


def html_folded(summary: str, content: str) -> str:
    """HTML that a click on its summary, which is plain text, shows."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"
