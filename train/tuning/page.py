"""The report of a sweep: one self-contained page, and its figures as PNGs beside it. Lecture row L18."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from train.config import Metric, shown
from train.report import blocks
from train.report.document import document
from train.report.sections import themed
from train.report.words import duration, percent
from train.tuning import drawing
from train.tuning.search import Search
from train.tuning.trials import DIVERGED, FINISHED, INTERRUPTED, PRUNED, REFUSED, Record

PAGE = "report.html"


class Found(NamedTuple):
    """What a sweep came to."""

    name: str
    """Of the recipe."""
    searches: tuple[Search, ...]
    metric: Metric
    records: Sequence[Record]
    best: Record | None
    importances: dict[str, float]
    """By field, the largest first; empty where too little is known."""
    command: str
    """That trains the best recipe; empty where there is none."""
    aside: bool = False
    """Whether trials were compared on a part of the training examples, from all of which the command learns."""


def render(found: Found) -> dict[str, bytes]:
    """The page and its figures, by file name, the page last."""
    pictures: dict[str, bytes] = {}
    body = [_headline(found), blocks.facts(_facts(found))]
    if found.command:
        text = (
            "Trains the best recipe on all training examples (a part was set aside here), and measures it on the test."
            if found.aside
            else "Trains the best recipe, to the same bits on the same platform."
        )
        body.append(blocks.section("Best recipe", blocks.command(found.command), text=text))
    if any(record.state == FINISHED for record in found.records):
        several = [_parallel(found, pictures), _importance(found)] if len(found.searches) > 1 else []
        body += [*several, _slices(found, pictures)]
    body += [_courses(found, pictures), _table(found)]
    return {**pictures, PAGE: document(f"Sweep {found.name}", body).encode()}


def _headline(found: Found) -> str:
    fields = ", ".join(search.field for search in found.searches)
    if found.best is None:
        return blocks.headline(f"Sweep of {found.name}", fields, "none", "no trial came to its end", "")
    ended = sum(record.state != INTERRUPTED for record in found.records)
    detail = f"trial {found.best.number} of {ended}, on the held-out examples that chose it"
    result = shown(found.metric, found.best.result)
    return blocks.headline(f"Sweep of {found.name}", fields, result, found.metric.title, detail)


def _facts(found: Found) -> list[tuple[str, str]]:
    counts = [
        (state.capitalize(), str(count))
        for state in (FINISHED, PRUNED, DIVERGED, REFUSED)
        if (count := sum(record.state == state for record in found.records)) or state == FINISHED
    ]
    seconds = sum(record.seconds for record in found.records if math.isfinite(record.seconds))
    return [*counts, ("Time of all trials", duration(seconds))]


def _parallel(found: Found, pictures: dict[str, bytes]) -> str:
    block, pictures["parallel.png"] = themed(
        lambda theme: drawing.parallel(found.records, found.searches, found.metric, theme),
        "Parallel coordinates: a line a finished trial across all hyperparameters to its result.",
    )
    text = "A line a finished trial: the better, the darker; the best is orange."
    return blocks.section("All hyperparameters at once", block, text=text)


def _importance(found: Found) -> str:
    rows = [(field, share, percent(share, 1, 0), "") for field, share in found.importances.items()]
    if not rows:
        count = max(2, len(found.searches) + 1)
        return blocks.section("Importance", text=f"Known once {count} trials of different results are finished.")
    text = (
        "The share of each hyperparameter, within its range, in the variance of the finished trials' results: "
        "fANOVA on a random forest (Hutter et al., 2014). Of few trials it is a guess."
    )
    return blocks.section("Importance", blocks.bars(rows), text=text)


def _slices(found: Found, pictures: dict[str, bytes]) -> str:
    block, pictures["slices.png"] = themed(
        lambda theme: drawing.slices(found.records, found.searches, found.metric, theme),
        "The result of each trial by each hyperparameter.",
    )
    text = "Rings are trials that ended early, with their last result."
    return blocks.section("One by one", block, text=text)


def _courses(found: Found, pictures: dict[str, bytes]) -> str:
    if any(record.losses for record in found.records):
        block, pictures["losses.png"] = themed(
            lambda theme: drawing.losses(found.records, found.searches, found.metric, theme),
            "The training loss of each learning rate by step.",
        )
        return blocks.section("Course", block, text="The larger the rate, the darker; the best is orange.")
    left, pictures["courses.png"] = themed(
        lambda theme: drawing.courses(found.records, found.metric, theme), "The metric of each trial by evaluation."
    )
    right, pictures["history.png"] = themed(
        lambda theme: drawing.history(found.records, found.metric, theme), "The result of each trial, and the best."
    )
    text = "Broken lines end, at a cross, where a trial was pruned or diverged."
    return blocks.section("Course", blocks.row(left, right), text=text)


def _table(found: Found) -> str:
    sign = -1 if found.metric.higher_is_better else 1

    def rank(record: Record) -> tuple[bool, bool, float]:
        known = math.isfinite(record.result)
        return record.state != FINISHED, not known, sign * record.result if known else record.number

    columns = ["Trial", found.metric.title, *(search.field for search in found.searches), "Time", "Evaluations", ""]
    return blocks.section("Trials", blocks.table(columns, [_row(found, r) for r in sorted(found.records, key=rank)]))


def _row(found: Found, record: Record) -> list[str]:
    values = [
        search.shown(record.values[search.field]) if search.field in record.values else "–" for search in found.searches
    ]
    result = shown(found.metric, record.result) if math.isfinite(record.result) else "–"
    seconds = duration(record.seconds) if math.isfinite(record.seconds) else "–"
    state = f"{record.state}: {record.note}" if record.note else record.state
    evaluations = str(len(record.course)) if record.course else "–"
    return [str(record.number), result, *values, seconds, evaluations, state]
