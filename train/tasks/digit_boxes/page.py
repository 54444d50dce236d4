"""How digit boxes are shown: average precision, misses and false boxes, how boxes moved, and boxes on their images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from train.report import Results, Run, blocks
from train.report.blocks import section
from train.report.sample import Leading, spread
from train.report.sections import themed
from train.report.theme import LIGHT, Theme, heading, labels, legend, new_figure, pixels, style
from train.report.words import grouped, percent
from train.tasks.colours import ON_IMAGES, class_colour
from train.tasks.digit_boxes.drawing import Boxes, Shown, grid
from train.tasks.digit_boxes.judge import AP50, MATCHED, AveragePrecision, matches
from train.tasks.protocol import HostBatch, HostPrediction

SURE = 0.5
"""The score from which on a box is drawn, said and counted; average precision takes in all."""
SHOWN, COLUMNS = 12, 4
"""Examples of each section, and how many stand side by side."""
FRAMES = 8
"""Most evaluations of which the followed examples are shown."""
LARGEST = 160
"""Pixels a side of an example that is kept: of a larger one every second pixel, or every third, and so on."""

_TRUE = ("boxes", "classes", "boxes_valid")
_PREDICTED = ("boxes", "classes", "scores", "valid")


class BoxPage:
    """The page of a task with boxes of classes: counts, a few numbers of each prediction, and some examples."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        self.judge = AveragePrecision(len(self.class_names))
        self.images = self.found = self.false = 0
        self.missed: Int[np.ndarray, "classes"] = np.zeros(len(self.class_names), np.int64)
        self.worst, self.some = Leading(SHOWN), Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        rows = batch["index"]
        if not len(rows):
            return
        sure = {**predicted, "valid": predicted["valid"] & (predicted["scores"] >= SURE)}
        match = matches(batch, predicted)
        self.judge.add_matched(batch, predicted, match)
        match = np.where(sure["valid"], match, -1)  # the others come later, and so take nothing from these
        is_found = np.zeros(batch["boxes_valid"].shape, bool)
        examples, places = np.nonzero(match >= 0)
        is_found[examples, match[examples, places]] = True
        missing = batch["boxes_valid"] & ~is_found
        missed, false = missing.sum(axis=1), (sure["valid"] & (match < 0)).sum(axis=1)
        self.images += len(rows)
        self.found += int(is_found.sum())
        self.false += int(false.sum())
        self.missed += np.bincount(batch["classes"][missing], minlength=len(self.missed))

        def kept(chosen: np.ndarray) -> dict[str, np.ndarray]:
            every = -(-max(batch["image"].shape[1:3]) // LARGEST)
            return {
                "image": batch["image"][chosen, ::every, ::every],
                "scale": np.full(len(chosen), 1 / every),
                "missed": missed[chosen],
                "false": false[chosen],
                **{f"true_{name}": batch[name][chosen] for name in _TRUE},
                **{f"predicted_{name}": sure[name][chosen] for name in _PREDICTED},
            }

        self.worst.add(-(missed + false).astype(np.float64), rows, kept)
        self.some.add(spread(rows), rows, kept)

    def merge(self, other: "BoxPage") -> None:
        """See `Page`."""
        self.judge.merge(other.judge)
        self.images, self.found, self.false = (
            self.images + other.images,
            self.found + other.found,
            self.false + other.false,
        )
        self.missed = self.missed + other.missed
        self.worst.merge(other.worst)
        self.some.merge(other.some)

    def results(self, run: Run) -> Results:
        """See `Page`; where there was no object, it says so."""
        count, missed = int(self.judge.objects.sum()), int(self.missed.sum())
        classes, curves = self._classes()
        some, examples = self._examples(self.some, "Examples", "spread evenly over the test set")
        worst, _ = self._examples(self.worst, "Worst examples", "most misses and false boxes first")
        return Results(
            value=percent(self.judge.scores()[AP50.name], 1) if count else "–",
            label="test AP at IoU 0.5",
            detail=f"of boxes that are surer than {SURE:.0%}: {grouped(self.found)} of {grouped(count)} digits found, "
            f"{grouped(missed)} missed, {grouped(self.false)} false, in {grouped(self.images)} images",
            sections=[classes, *self._over_the_run(run), some, worst],
            pictures={"precision_recall.png": curves, **examples},
            notes=[] if count else ["There is no digit in the held-out scenes: no average precision."],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: every box with its class and score, the best first."""
        found = _boxes(predicted)
        return {
            "boxes": [
                {"class": self.class_names[label], "score": float(score), "box": [round(float(x), 2) for x in box]}
                for box, label, score in zip(*found, strict=True)
            ]
        }

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the classes of the boxes that are sure."""
        found = _boxes(predicted, SURE)
        said = [f"{self.class_names[i]} {100 * score:.0f} %" for i, score in zip(*found[1:], strict=True)]
        return ", ".join(said) if said else f"no box is surer than {SURE:.0%}"

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image with the boxes that are sure."""
        found = _boxes(predicted, SURE)
        caption = f"{len(found.boxes)} boxes" if len(found.boxes) != 1 else "1 box"
        shown = Shown(example["image"], None, found, caption if len(found.boxes) else self.words(predicted))
        return pixels(grid([shown], self.class_names, side=3.6), dpi=150)

    def _examples(self, kept: Leading, title: str, order: str) -> tuple[str, dict[str, bytes]]:
        """The section, and the picture beside the page; without examples there is none."""
        if not len(kept):
            return section(title, text="None."), {}
        shown = [self._shown(each) for each in kept.examples(by_row=kept is self.some)]
        text = f"{len(shown)} shown, {order}. Thin white boxes are there; coloured ones are predicted, each with its "
        text += "class and score in percent."
        block, light = themed(lambda theme: grid(shown, self.class_names, COLUMNS, theme=theme), f"{title}: {order}.")
        return section(title, block, text=text), {"predictions.png": light}

    def _shown(self, each: Mapping[str, Any]) -> Shown:
        valid, scale = each["true_boxes_valid"], each["scale"]
        true = Boxes(scale * each["true_boxes"][valid], each["true_classes"][valid])
        found = _boxes({name: each[f"predicted_{name}"] for name in _PREDICTED})
        found = found._replace(boxes=scale * found.boxes)
        errors = [f"{each[name]} {name}" for name in ("missed", "false") if each[name]]
        caption = f"example {each['row']}\n{', '.join(errors) or 'all found'}"
        return Shown(each["image"], true, found, caption)

    def _classes(self) -> tuple[str, bytes]:
        rows = [
            (name, None, "–", "none")
            if np.isnan(value)
            else (name, value, percent(value, 1, 1), f"{grouped(missed)} of {grouped(count)} missed")
            for name, value, missed, count in zip(
                self.class_names, self.judge.by_class(), self.missed, self.judge.objects, strict=True
            )
        ]
        chart, light = themed(self._curves, "Precision by recall of each class.")
        text = f"A box is right where its intersection with a digit of its class is at least {MATCHED:.0%} of their "
        text += f"union, and no surer box found that digit. Missed are digits that no box surer than {SURE:.0%} found."
        bars = f"<h3>Average precision by class</h3>{blocks.bars(rows)}"
        return section("Classes", blocks.row(chart, bars), text=text), light

    def _curves(self, theme: Theme = LIGHT) -> Any:
        figure = new_figure(4.6, 3.8, theme)
        axes = figure.add_subplot()
        style(axes, theme)
        heading(axes, "Precision by recall", theme)
        labels(axes, theme, "recall", "precision")
        for label, name in enumerate(self.class_names[: len(ON_IMAGES)]):
            recall, precision = self.judge.curve(label) if self.judge.objects[label] else (np.zeros(0),) * 2
            axes.step(recall, precision, where="pre", color=class_colour(label), lw=1.2, label=name)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
        legend(axes, theme, ncols=2, loc="lower left")
        return figure

    def _over_the_run(self, run: Run) -> list[str]:
        """The followed examples after some evaluations, a row an example."""
        if not run.seen or not len(run.followed.get("image", ())):
            return []
        seen = sorted(run.seen, key=lambda each: each[0])
        chosen = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, FRAMES).round().astype(int))]
        shown = []
        for row in range(len(chosen[0][1]["valid"])):
            valid = run.followed["boxes_valid"][row]
            true = Boxes(run.followed["boxes"][row][valid], run.followed["classes"][row][valid])
            for step, arrays in chosen:
                found = _boxes({name: arrays[name][row] for name in _PREDICTED}, SURE)
                caption = f"step {grouped(step)}"
                shown.append(Shown(run.followed["image"][row], true, found, caption))
        block, _ = themed(
            lambda theme: grid(shown, self.class_names, len(chosen), 1.1, theme), "Boxes after some evaluations."
        )
        text = "The first held-out examples after evaluations of the run, from left to right."
        return [section("Boxes over the run", block, text=text)]


def _boxes(predicted: HostPrediction, least: float = 0.0) -> Boxes:
    """The boxes of one example that are real and at least as sure."""
    valid = predicted["valid"] & (predicted["scores"] >= least)
    return Boxes(predicted["boxes"][valid], predicted["classes"][valid], predicted["scores"][valid])
