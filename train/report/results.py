"""What a task's page puts into the report."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Results:
    """A headline, sections, and pictures beside the page."""

    value: str
    """The largest thing on the page."""
    label: str
    """What it is."""
    detail: str
    sections: Sequence[str]
    """Blocks of HTML, each from `blocks.section`."""
    pictures: Mapping[str, bytes]
    """PNGs by file name, which are written beside the page too."""
    notes: Sequence[str] = ()
    """What must not be missed, in plain text."""
    script: str = ""
    """The source of the one script that the sections need, as a Content-Security-Policy names it."""


def together(first: Results, *others: Results) -> Results:
    """The headline of the first, which mentions the others, and the sections of all."""
    mentioned = [f"{other.label} {other.value}" for other in others]
    return Results(
        first.value,
        first.label,
        "; ".join([first.detail, *mentioned]),
        [section for each in (first, *others) for section in each.sections],
        {name: content for each in (*others[::-1], first) for name, content in each.pictures.items()},
        [note for each in (first, *others) for note in each.notes],
        next((each.script for each in (first, *others) if each.script), ""),
    )
