"""The report of a run: `report.html`, one self-contained page, and its figures as PNGs beside it.

Lecture row L32 (the filters, seen).
"""

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from train.report import blocks, figures
from train.report.blocks import section
from train.report.curves import curves, panels_of, title_of
from train.report.document import document
from train.report.results import Results
from train.report.run import Run
from train.report.sections import themed
from train.report.theme import png
from train.report.words import plain

PAGE = "report.html"


def render(
    run: Run, results: Results, filters: Float[np.ndarray, "height width cin cout"] | None = None
) -> dict[str, bytes]:
    """The page and its figures, by file name, the page last.

    Args:
      run: what is known of it.
      results: what the task's page has to say.
      filters: the kernel of the first layer; shown if it is a convolution's.
    """
    pictures = {"curves.png": png(curves(run.records, panels_of(run.records, run.metrics))), **results.pictures}
    body = [
        blocks.headline(
            f"Run {run.part('recipe').get('name') or ''}".strip(),
            run.title,
            results.value,
            results.label,
            results.detail,
        ),
        blocks.facts(run.facts),
        *map(blocks.note, [*results.notes, *run.warnings]),
        _curves(run),
        *results.sections,
    ]
    if filters is not None and np.ndim(filters) == 4:
        block, pictures["filters.png"] = _filters(filters)
        body.append(block)
    body += [_recipe(run), _repeat(run)]
    return {**pictures, PAGE: document(run.title, body, results.script).encode()}


def _curves(run: Run) -> str:
    panels = [
        themed(lambda theme, metric=metric: curves(run.records, (metric,), theme), f"{title_of(metric)} by step.")[0]
        for metric in panels_of(run.records, run.metrics)
    ]
    return section("Curves", blocks.row(*panels), text="" if panels else "No metrics were recorded.")


def _filters(kernel: np.ndarray) -> tuple[str, bytes]:
    zero = "Mid-grey is zero." if kernel.shape[2] == 3 else "Blue is negative, red positive."
    block, light = themed(lambda theme: figures.filter_grid(kernel, theme), "The filters of the first layer.")
    return section("First-layer filters", block, text=f"All on one scale. {zero}"), light


def _recipe(run: Run) -> str:
    """The recipe, one small table a part."""
    recipe = run.part("recipe")
    general = {name: value for name, value in recipe.items() if not isinstance(value, Mapping)}
    parts = {name: value for name, value in recipe.items() if isinstance(value, Mapping)}
    tables = [blocks.values(name, pairs) for name, pairs in {"general": general, **parts}.items() if pairs]
    return section("Recipe", blocks.row(*tables))


def _repeat(run: Run) -> str:
    """The command, and what has to be equal for the same result."""
    devices = {"devices": run.card["devices"]} if run.card.get("devices") else {}
    about = {"versions": {**run.part("versions"), **devices}, "model": run.part("model"), "data": _data(run)}
    tables = [blocks.values(name, pairs) for name, pairs in {**about, "result": run.fingerprint}.items() if pairs]
    return section(
        "Repeat this run",
        blocks.command(f"python -m train rerun {shlex.quote(str(run.path))}"),
        blocks.row(*tables),
        text="Trains the recipe again and compares the fingerprint of the final parameters. "
        "The same versions on the same platform give the same fingerprint.",
    )


def _data(run: Run) -> dict[str, Any]:
    """The numbers of examples, and each field in a line; names of classes stand elsewhere."""
    data = run.part("data")
    fields = data.get("fields") if isinstance(data.get("fields"), Mapping) else {}
    lines = {
        name: ", ".join(plain(value) for value in (field.get("dtype"), field.get("shape")) if value)
        for name, field in fields.items()
        if isinstance(field, Mapping)
    }
    return {**{name: value for name, value in data.items() if not isinstance(value, Mapping)}, **lines}
