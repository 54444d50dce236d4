"""The report of a finished run: `report.html`, one self-contained page, and its figures as PNGs beside it.

Wilson (1927), Probable inference, the law of succession, and statistical inference: the accuracy's interval.
Lecture row L32 (the filters, seen).
"""

import dataclasses
import math
import shlex
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.files import write_bytes
from train.report import blocks, figures
from train.report.blocks import NARROW, grouped, percent, section
from train.report.curves import TITLES, panels_of
from train.report.figures import NUMBERED_CLASSES, shorten
from train.report.run import Run, read_run
from train.report.theme import DARK, LIGHT, Theme, png
from zoo.hyperspheres.globe import script_source

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

WRONG_SHOWN, RIGHT_SHOWN, TOP = 24, 12, 12


@dataclasses.dataclass(frozen=True)
class Predictions:
    """A model's outputs on the whole held-out split, on the host.

    Raises:
        ValueError: for shapes that do not fit each other, no example at all, or a label that is no class.
    """

    images: UInt8[np.ndarray, "n height width channels"]
    targets: Int[np.ndarray, " n"] | Float[np.ndarray, " n"]
    """Class labels, or the values of a regression."""
    outputs: Float[np.ndarray, "n classes"] | Float[np.ndarray, " n"]
    """Logits, cosines, or predicted values."""
    class_names: tuple[str, ...]
    """One a class; empty for regression, and for classes that are named by their number."""
    kind: Literal["classification", "nearest", "regression"]
    """classification by logits, by the nearest prototype (cosines), or regression."""
    unit: str = ""
    """The unit of a regression's values, such as degrees."""

    def __post_init__(self) -> None:
        shapes = self.images.shape, self.targets.shape, self.outputs.shape
        labels = self.kind != "regression"
        count = len(self.targets)
        fits = [len(shape) for shape in shapes] == [4, 1, 1 + labels] and {s[0] for s in shapes} == {count}
        if not fits or not count:
            raise ValueError(
                f"{self.kind}: expected images (n, height, width, channels), targets (n,) and outputs "
                f"{'(n, classes)' if labels else '(n,)'}, n >= 1; got {shapes[0]}, {shapes[1]} and {shapes[2]}"
            )
        if labels:
            classes, low, high = self.outputs.shape[1], self.targets.min(), self.targets.max()
            if len(self.class_names) not in (0, classes):
                raise ValueError(f"expected {classes} class names, one an output, got {len(self.class_names)}")
            if low < 0 or high >= classes:
                raise ValueError(f"expected labels in [0, {classes}), got labels from {low} to {high}")


@dataclasses.dataclass(frozen=True)
class Results:
    """What one kind of task adds to the page."""

    value: str
    label: str
    detail: str
    sections: list[str]
    pictures: dict[str, bytes]  # PNGs by file name
    notes: list[str]


def write_report(
    workdir: Path,
    predictions: Predictions | Sequence[Predictions],
    filters: np.ndarray | None = None,
    sphere: str = "",
) -> Path:
    """Writes `report.html` and its PNGs into a run's work directory and returns the page's path.

    Args:
        workdir: a run's directory: recipe.json, metrics.jsonl and, for a finished run, fingerprint.json.
        predictions: on the held-out split; several of a task that predicts several things of an image.
        filters: the kernel of the first layer; shown if it is a convolution's (height, width, cin, cout).
        sphere: the interactive picture of a task on the sphere (`zoo.hyperspheres.globe`).

    Every file appears whole or not at all: it is written under a temporary name and then renamed.

    Raises:
        FileNotFoundError: if there is no such directory.
    """
    workdir = Path(workdir)
    if not workdir.is_dir():
        raise FileNotFoundError(f"expected the work directory of a run, found none at {workdir}")
    run = read_run(workdir)
    results = _together(
        [
            _regression(each) if each.kind == "regression" else _classification(each)
            for each in ([predictions] if isinstance(predictions, Predictions) else predictions)
        ]
    )
    pictures = {"curves.png": png(figures.curves(run.records)), **results.pictures}
    body = [
        blocks.headline(f"Run {run.part('recipe').get('name') or ''}".strip(), run.title,
                             results.value, results.label, results.detail),
        blocks.facts(run.facts),
        *map(blocks.note, [*results.notes, *run.notes]),
        _curves(run),
        *([section("On the sphere", sphere)] if sphere else []),
        *results.sections,
    ]  # fmt: skip
    if filters is not None and np.ndim(filters) == 4:
        block, pictures["filters.png"] = _filters(filters)
        body.append(block)
    body += [_recipe(run), _repeat(run)]
    for name, content in pictures.items():
        write_bytes(workdir / name, content)
    scripts = script_source() if sphere else ""
    return write_bytes(workdir / "report.html", blocks.document(run.title, body, scripts).encode())


def _together(results: Sequence[Results]) -> Results:
    """The first's headline, which mentions the others, and the sections of all."""
    first, *others = results
    for other in others:
        first = Results(
            first.value,
            first.label,
            f"{first.detail}; {other.label} {other.value}",
            [*first.sections, *other.sections],
            {**other.pictures, **first.pictures},
            [*first.notes, *other.notes],
        )
    return first


def predicted_classes(
    logits: Float[np.ndarray, "n classes"],
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The most probable class and its softmax probability; class -1 and NaN where a row is not finite.

    >>> predicted_classes(np.array([[0.0, 0.0], [np.nan, 1.0]]))
    (array([ 0, -1]), array([0.5, nan]))
    """
    logits = logits.astype(np.float64)
    usable = np.isfinite(logits.max(axis=1))  # a row with NaN or +inf, or of -inf alone, predicts nothing
    logits = np.where(usable[:, None], logits, 0.0)
    confidence = 1.0 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    return np.where(usable, logits.argmax(axis=1), -1), np.where(usable, confidence, np.nan)


def confusion_counts(
    targets: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """How often the class of the row was taken for that of the column; a prediction of -1 is left out.

    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    kept = predicted >= 0
    pairs = targets[kept].astype(np.int64) * classes + predicted[kept]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion.

    >>> tuple(round(bound, 3) for bound in wilson_interval(50, 100))
    (0.404, 0.596)
    """
    z = 1.959963984540054  # the 97.5 % point of the normal distribution
    share, shrink = successes / count, 1 + z**2 / count
    centre = (share + z**2 / (2 * count)) / shrink
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / shrink
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _classification(predictions: Predictions) -> Results:
    targets, count, classes = predictions.targets, *predictions.outputs.shape
    names = predictions.class_names or tuple(map(str, range(classes)))
    predicted, confidence = predicted_classes(predictions.outputs)
    if predictions.kind == "nearest":
        confidence = np.where(predicted < 0, np.nan, predictions.outputs.max(axis=1))
    matrix = confusion_counts(targets, predicted, classes)
    right = np.flatnonzero(predicted == targets)
    wrong = np.flatnonzero(predicted != targets)
    wrong = wrong[np.argsort(-np.nan_to_num(confidence[wrong]), kind="stable")]

    def caption(i: int) -> tuple[str, ...]:
        true = f"true {shorten(names[targets[i]])}"
        if predicted[i] < 0:
            return "not finite", true
        nearest = predictions.kind == "nearest"
        sure = f"cosine {confidence[i]:.2f}" if nearest else percent(confidence[i], 1, digits=1)
        guess = shorten(names[predicted[i]])
        return (guess, sure) if predicted[i] == targets[i] else (guess, true, sure)

    low, high = wilson_interval(len(right), count)
    interval = f"95{NARROW}% interval {100 * low:.1f} to {100 * high:.1f}{NARROW}%"
    sample, broken = _spread(right, RIGHT_SHOWN), int((predicted < 0).sum())
    block, confusion = _classes(matrix, np.bincount(targets, minlength=classes), names)
    return Results(
        value=percent(len(right), count),
        label="test accuracy",
        detail=f"{grouped(len(wrong))} wrong of {grouped(count)}, {interval}",
        sections=[
            block,
            _examples("Wrong predictions", predictions.images, wrong[:WRONG_SHOWN], caption,
                      f"most confident first, {grouped(len(wrong))} in all", wrong=True),
            _examples("Right predictions", predictions.images, sample, caption,
                      f"spread evenly over the {grouped(len(right))} right ones"),
        ],
        pictures={
            "confusion.png": confusion,
            "predictions.png": _sheet(predictions.images, wrong[:RIGHT_SHOWN], sample, caption),
        },
        notes=[f"Outputs that are not finite, counted as wrong: {grouped(broken)}."] if broken else [],
    )  # fmt: skip


def _regression(predictions: Predictions) -> Results:
    targets, outputs = predictions.targets.astype(np.float64), predictions.outputs.astype(np.float64)
    count, unit = len(targets), f" {predictions.unit}" if predictions.unit else ""
    errors = outputs - targets
    finite = np.flatnonzero(np.isfinite(errors))
    kept = errors[finite]
    worst = finite[np.argsort(-np.abs(kept), kind="stable")][:WRONG_SHOWN]
    sample = _spread(finite, RIGHT_SHOWN)
    digits = max(0, 2 - math.floor(math.log10(np.abs(targets[finite]).max(initial=0) or 1)))  # three that count

    def caption(i: int) -> tuple[str, ...]:
        return f"{outputs[i]:.{digits}f}", f"true {targets[i]:.{digits}f}", f"off by {errors[i]:+.{digits}f}"

    measures, broken = "", count - len(finite)
    if len(finite):
        root, median = np.sqrt(np.mean(kept**2)), np.median(np.abs(kept))
        measures = f"root mean square {root:.3g}{unit}, median {median:.3g}{unit}"
        spread = np.sum((targets[finite] - targets[finite].mean()) ** 2)
        measures += f", R² {1 - np.sum(kept**2) / spread:.3f}" if spread > 0 else ""
    block, residuals = _themed(
        lambda theme: figures.residuals(targets, outputs, predictions.unit, theme),
        "Predicted against true values, and the distribution of their differences.",
    )
    return Results(
        value=f"{np.abs(kept).mean():.3g}{unit}" if len(finite) else "not finite",
        label="test mean absolute error" + ("" if unit else ", in units of the target"),
        detail=f"{grouped(count)} examples, {measures}",
        sections=[
            section("Predicted and true values", block, text="On the dashed lines a prediction is exact."),
            _examples("Largest errors", predictions.images, worst, caption, "largest first", wrong=True),
            _examples("Examples", predictions.images, sample, caption, "spread evenly over the test set"),
        ],
        pictures={
            "residuals.png": residuals,
            "predictions.png": _sheet(predictions.images, worst[:RIGHT_SHOWN], sample, caption),
        },
        notes=[f"Outputs that are not finite, left out: {grouped(broken)}."] if broken else [],
    )  # fmt: skip


def _classes(matrix: np.ndarray, support: np.ndarray, names: Sequence[str]) -> tuple[str, bytes]:
    """Confusion matrix, also as a PNG, and accuracy of each class; of many the lowest, and the top confusions."""
    rows = [
        (name, right / count, percent(right, count, 1), f"{right} of {count}") if count else (name, None, "–", "none")
        for name, right, count in zip(names, matrix.diagonal(), support, strict=True)
    ]
    text = "Rows of the matrix are true classes, columns predicted ones. Blue is right, orange wrong; "
    text += "the deeper the colour, the larger the share of its row."
    if len(names) <= NUMBERED_CLASSES:
        table, bars = blocks.matrix(matrix, names), blocks.bars(rows)
        parts = [f"<h3>Confusion matrix</h3>{table}", f"<h3>Accuracy by class</h3>{bars}"]
        return section("Classes", blocks.row(*parts), text=text), png(figures.confusion_matrix(matrix, names))
    rows.sort(key=lambda row: math.inf if row[1] is None else row[1])
    pairs = [(matrix[t, p], t, p) for t, p in np.argwhere(matrix) if t != p]
    pairs.sort(key=lambda pair: -pair[0])
    confusions = blocks.table(
        ("True", "Predicted", "Count", "Of the class"),
        [(names[t], names[p], grouped(n), percent(n, support[t], 1)) for n, t, p in pairs[:TOP]],
    )
    others = blocks.details(f"The other {len(rows) - TOP} classes", blocks.bars(rows[TOP:]))
    parts = [
        f"<h3>Most frequent confusions</h3>{confusions if pairs else 'None.'}",
        f"<h3>Lowest accuracies</h3>{blocks.bars(rows[:TOP])}{others}",
    ]
    chart, light = _themed(lambda theme: figures.confusion_matrix(matrix, names, theme), "Confusion matrix.")
    return section("Classes", chart, blocks.row(*parts), text=text), light


def _examples(
    title: str,
    images: np.ndarray,
    chosen: Sequence[int],
    caption: Callable[[int], tuple[str, ...]],
    order: str,
    wrong: bool = False,
) -> str:
    """A section with a grid of examples."""
    if not len(chosen):
        return section(title, text="None.")
    captions = [caption(i) for i in chosen]
    words = [f"Example {i}: predicted {', '.join(lines)}" for i, lines in zip(chosen, captions, strict=True)]
    tiles = blocks.tiles([images[i] for i in chosen], captions, words, wrong)
    return section(title, tiles, text=f"{len(chosen)} shown, {order}.")


def _sheet(
    images: np.ndarray, wrong: Sequence[int], right: Sequence[int], caption: Callable[[int], tuple[str, ...]]
) -> bytes:
    """Wrong predictions and then right ones, as one PNG."""
    chosen = [*wrong, *right]
    titles = ["\n".join(shorten(line, 16) for line in caption(i)) for i in chosen]
    colours = [LIGHT.orange] * len(wrong) + [LIGHT.ink] * len(right)
    return png(figures.contact_sheet(images[chosen], titles, columns=6, colours=colours))


def _spread(rows: np.ndarray, number: int) -> np.ndarray:
    """At most `number` of the rows, evenly spaced over them."""
    return rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)]


def _curves(run: Run) -> str:
    def panel(name: str) -> str:
        return _themed(lambda theme: figures.curves(run.records, (name,), theme), f"{TITLES[name]} by step.")[0]

    panels = [panel(name) for name in panels_of(run.records)]
    return section("Curves", blocks.row(*panels), text="" if panels else "No metrics were recorded.")


def _filters(kernel: np.ndarray) -> tuple[str, bytes]:
    zero = "Mid-grey is zero." if kernel.shape[2] == 3 else "Blue is negative, red positive."
    block, light = _themed(lambda theme: figures.filter_grid(kernel, theme), "The filters of the first layer.")
    return section("First-layer filters", block, text=f"All on one scale. {zero}"), light


def _themed(draw: Callable[[Theme], "Figure"], description: str) -> tuple[str, bytes]:
    """A figure for light and for dark pages as one block, and the light one as a PNG."""
    figure = draw(LIGHT)
    width = round(96 * figure.get_figwidth())  # CSS pixels an inch: text keeps the size it was drawn for
    light, dark = png(figure), png(draw(DARK))
    return blocks.picture(light, dark, description, width), light


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
    about = {"versions": {**run.part("versions"), **devices}, "model": run.part("model"), "data": run.part("data")}
    tables = [blocks.values(name, pairs) for name, pairs in {**about, "result": run.fingerprint}.items() if pairs]
    return section(
        "Repeat this run",
        blocks.command(f"python -m train rerun {shlex.quote(str(run.workdir))}"),
        blocks.row(*tables),
        text="Trains the recipe again and compares the fingerprint of the final parameters. "
        "The same versions on the same platform give the same fingerprint.",
    )
