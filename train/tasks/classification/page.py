"""How classification is shown: accuracy, confusion matrix, the surest errors, and single predictions as bars.

Wilson (1927), Probable inference, the law of succession, and statistical inference: the accuracy's interval.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report import Results, Run, blocks, figures
from train.report.blocks import section
from train.report.figures import NUMBERED_CLASSES
from train.report.picture import Bar, example_picture
from train.report.sample import Kept, Leading, pictured, spread
from train.report.sections import Example, examples, sheet, themed
from train.report.theme import png
from train.report.words import NARROW, grouped, percent, shorten
from train.tasks.protocol import HostBatch, HostPrediction

WRONG_SHOWN, RIGHT_SHOWN, TOP = 24, 12, 12
BARS, WORDS = 5, 3
"""The leading classes of a single prediction that its picture and its line name."""


class ClassPage:
    """The page of a task with a label an example.

    It keeps counts, the wrong predictions that are surest, and right ones that are spread evenly.

    Args:
      class_names: one a class.
      scores: what the prediction ranks the classes by: "logits", or "cosines" with a prototype each.
    """

    def __init__(self, class_names: Sequence[str], scores: Literal["logits", "cosines"] = "logits") -> None:
        self.class_names, self.ranked_by = tuple(class_names), scores
        classes = len(self.class_names)
        self.counts: Int[np.ndarray, "classes classes"] = np.zeros((classes, classes), np.int64)
        """How often the class of the row was taken for that of the column."""
        self.support: Int[np.ndarray, "classes"] = np.zeros(classes, np.int64)
        self.wrong, self.right = Leading(WRONG_SHOWN), Leading(RIGHT_SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`.

        Raises:
          ValueError: shapes that do not fit each other, or a label that is no class.
        """
        labels, scores = batch["label"], predicted[self.ranked_by]
        self._check(labels, scores)
        if not len(labels):
            return
        rows = batch["index"]
        guesses, sure = predicted_classes(scores)
        if self.ranked_by == "cosines":
            sure = np.where(guesses < 0, np.nan, scores.max(axis=1))
        finite = guesses >= 0
        np.add.at(self.counts, (labels[finite], guesses[finite]), 1)
        self.support += np.bincount(labels, minlength=len(self.class_names))
        wrong, right = np.flatnonzero(guesses != labels), np.flatnonzero(guesses == labels)
        said = {"label": labels, "guess": guesses, "sure": sure}
        self.wrong.add(-np.nan_to_num(sure[wrong]), rows[wrong], self.kept(batch, wrong, said))
        self.right.add(spread(rows[right]), rows[right], self.kept(batch, right, said))

    def kept(self, batch: HostBatch, among: Int[np.ndarray, " m"], said: dict[str, np.ndarray]) -> Kept:
        """What is kept of some of a batch's examples, see `pictured`."""
        return pictured(batch["image"], among, **said)

    def merge(self, other: "ClassPage") -> None:
        """See `Page`."""
        self.counts, self.support = self.counts + other.counts, self.support + other.support
        self.wrong.merge(other.wrong)
        self.right.merge(other.right)

    def results(self, run: Run) -> Results:
        """See `Page`.

        Raises:
          ValueError: there was no example.
        """
        count, right = int(self.support.sum()), int(self.counts.trace())
        if not count:
            raise ValueError("expected predictions of at least one example")
        low, high = interval(right, count)
        broken = count - int(self.counts.sum())
        block, confusion = _classes(self.counts, self.support, self.class_names)
        shown, pictures = self.shown(count, right)
        return Results(
            value=percent(right, count),
            label="test accuracy",
            detail=f"{grouped(count - right)} wrong of {grouped(count)}, "
            f"95{NARROW}% interval {100 * low:.1f} to {100 * high:.1f}{NARROW}%",
            sections=[block, *shown],
            pictures={"confusion.png": confusion, **pictures},
            notes=[f"Outputs that are not finite, counted as wrong: {grouped(broken)}."] if broken else [],
        )

    def shown(self, count: int, right: int) -> tuple[list[str], dict[str, bytes]]:
        """Sections with examples of wrong and of right predictions, and pictures of them as files."""
        wrong = [self._shown(**kept) for kept in self.wrong.examples()]
        rights = [self._shown(**kept) for kept in self.right.examples(by_row=True)]
        sections = [
            examples("Wrong predictions", wrong, f"most confident first, {grouped(count - right)} in all", wrong=True),
            examples("Right predictions", rights, f"spread evenly over the {grouped(right)} right ones"),
        ]
        return sections, {"predictions.png": sheet(wrong[:RIGHT_SHOWN], rights)}

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: every class with its score, the best first."""
        return {"scores": self.ranking(predicted)}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the leading classes."""
        form = "{} {:.1f} %" if self.ranked_by == "logits" else "{} (cosine {:.3f})"
        scale = 100 if self.ranked_by == "logits" else 1
        return ", ".join(form.format(name, scale * score) for name, score in self.ranking(predicted)[:WORDS])

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image, and the leading classes as bars."""
        return example_picture(example["image"], self.bars(predicted))

    def bars(self, predicted: HostPrediction) -> list[Bar]:
        """The leading classes."""
        form = "{:.1%}" if self.ranked_by == "logits" else "{:.3f}"
        return [(name, score, form.format(score)) for name, score in self.ranking(predicted)[:BARS]]

    def ranking(self, predicted: HostPrediction) -> list[tuple[str, float]]:
        """Every class with its probability, or its cosine, the best first."""
        scores = predicted[self.ranked_by]
        scores = shares(scores) if self.ranked_by == "logits" else scores
        return [(self.class_names[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")]

    def _shown(self, row: int, image: np.ndarray, label: int, guess: int, sure: float) -> Example:
        return Example(row, image, self.caption(label, guess, sure))

    def caption(self, label: int, guess: int, sure: float) -> tuple[str, ...]:
        """What is said of an example that is shown: the class that was predicted, and more lines."""
        true = f"true {shorten(self.class_names[label])}"
        if guess < 0:
            return "not finite", true
        said = f"cosine {sure:.2f}" if self.ranked_by == "cosines" else percent(sure, 1, digits=1)
        name = shorten(self.class_names[guess])
        return (name, said) if guess == label else (name, true, said)

    def _check(self, labels: np.ndarray, scores: np.ndarray) -> None:
        classes = len(self.class_names)
        if labels.ndim != 1 or scores.shape != (len(labels), classes):
            raise ValueError(
                f"expected labels (n,) and {self.ranked_by} (n, {classes}), got {labels.shape} and {scores.shape}"
            )
        if len(labels) and (labels.min() < 0 or labels.max() >= classes):
            raise ValueError(f"expected labels in [0, {classes}), got labels from {labels.min()} to {labels.max()}")


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


def shares(logits: Float[np.ndarray, "classes"]) -> Float[np.ndarray, "classes"]:
    """The softmax."""
    scores = np.exp(logits - logits.max())
    return scores / scores.sum()


def interval(successes: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion.

    >>> tuple(round(bound, 3) for bound in interval(50, 100))
    (0.404, 0.596)
    """
    from scipy.stats import binomtest

    found = binomtest(successes, count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _classes(
    matrix: Int[np.ndarray, "classes classes"], support: Int[np.ndarray, "classes"], names: Sequence[str]
) -> tuple[str, bytes]:
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
    chart, light = themed(lambda theme: figures.confusion_matrix(matrix, names, theme), "Confusion matrix.")
    return section("Classes", chart, blocks.row(*parts), text=text), light
