"""How detections are shown: average precision, misses and false boxes, how boxes moved, and objects on their images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from train.data.rle import encoded
from train.report import Results, Run, blocks
from train.report.blocks import section
from train.report.curves import series
from train.report.sample import Leading
from train.report.sections import drawn_examples, themed
from train.report.theme import LIGHT, Theme, heading, labels, legend, new_figure, pixels, style
from train.report.words import grouped, percent
from train.tasks.colours import ON_IMAGES, class_colour
from train.tasks.detection.drawing import LARGEST, Shown, grid, objects_of, reduced
from train.tasks.detection.precision import MATCHED, AveragePrecision, matches, without_ignored
from train.tasks.protocol import HostBatch, HostPrediction

SURE = 0.5
"""The score from which on an object is drawn, said and counted; average precision takes in all."""
SHOWN, COLUMNS = 8, 4
"""Examples of each section, and how many stand side by side."""
LEGEND = 2
"""Lines of the legend under a prediction, where each object also says its class: so that frames of a video, with few
objects or many, have one size."""
FRAMES = 8
"""Most evaluations of which the followed examples are shown."""
KEPT = 24
"""Objects that are predicted in an image of which a few are kept, at most: the best."""
_TRUE = ("boxes", "classes", "keypoints")
_PREDICTED = ("boxes", "classes", "scores", "masks", "keypoints")


class DetectionPage:
    """The page of a task with objects: counts, a few numbers of each prediction, and some examples.

    Args:
      class_names: of the objects.
      titles: names and titles of the task's metrics, of which the shares are shown.
      ids: of the classes where predictions are written down; by default they are counted from 1.
    """

    def __init__(self, class_names: Sequence[str], titles: Mapping[str, str], ids: Sequence[int] = ()) -> None:
        self.class_names, self.titles = tuple(class_names), dict(titles)
        self.ids = tuple(ids) or tuple(range(1, len(self.class_names) + 1))
        self.judge = AveragePrecision(len(self.class_names))
        self.images = self.found = self.false = 0
        self.missed: Int[np.ndarray, "classes"] = np.zeros(len(self.class_names), np.int64)
        self.worst, self.best = Leading(SHOWN), Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        rows = batch["index"]
        if not len(rows):
            return
        batch, predicted = without_ignored(batch, predicted)
        sure = predicted["valid"] & (predicted["scores"] >= SURE)
        match = matches(batch, predicted)
        self.judge.add_matched(batch, predicted, match)
        match = np.where(sure, match, -1)  # the others come later, and so take nothing from these
        is_found = np.zeros(batch["boxes_valid"].shape, bool)
        examples, places = np.nonzero(match >= 0)
        is_found[examples, match[examples, places]] = True
        missing = batch["boxes_valid"] & ~is_found
        missed, false = missing.sum(axis=1), (sure & (match < 0)).sum(axis=1)
        self.images += len(rows)
        self.found += int(is_found.sum())
        self.false += int(false.sum())
        self.missed += np.bincount(batch["classes"][missing], minlength=len(self.missed))

        def kept(chosen: np.ndarray) -> dict[str, np.ndarray]:
            images, scale = reduced(batch["image"][chosen])
            some = {name: predicted[name][chosen, :KEPT] for name in _PREDICTED if name in predicted}
            return {
                "image": images,
                "scale": np.full(len(chosen), scale),
                "missed": missed[chosen],
                "false": false[chosen],
                "true_valid": batch["boxes_valid"][chosen],
                "predicted_valid": sure[chosen, :KEPT],
                **{f"true_{name}": batch[name][chosen] for name in _TRUE if name in batch},
                **{f"predicted_{name}": value for name, value in some.items()},
            }

        wrong, right = (missed + false).astype(np.float64), is_found.sum(axis=1)
        self.worst.add(-wrong, rows, kept)
        self.best.add(wrong - right / (1 + right), rows, kept)  # of as many errors the one with the most objects

    def merge(self, other: "DetectionPage") -> None:
        """See `Page`."""
        self.judge.merge(other.judge)
        self.images, self.found, self.false = (
            self.images + other.images,
            self.found + other.found,
            self.false + other.false,
        )
        self.missed = self.missed + other.missed
        self.worst.merge(other.worst)
        self.best.merge(other.best)

    def results(self, run: Run) -> Results:
        """See `Page`; where there was no object, it says so."""
        count, missed = int(self.judge.objects.sum()), int(self.missed.sum())
        measured = self._measured(run)
        name, share = next(iter(measured.items()), ("AP at IoU 0.5", self.judge.scores()["ap50"]))
        classes, curves = self._classes()
        worst, examples = self._examples(self.worst, "Worst examples", "most misses and false objects first")
        best, _ = self._examples(self.best, "Best examples", "fewest misses and false objects, and most objects, first")
        return Results(
            value=percent(share, 1) if count else "–",
            label=f"test {name}",
            detail=f"of objects that are surer than {SURE:.0%}: {grouped(self.found)} of {grouped(count)} found, "
            f"{grouped(missed)} missed, {grouped(self.false)} false, in {grouped(self.images)} images",
            sections=[*_precision(measured), classes, *self._over_the_run(run), worst, best],
            pictures={"precision_recall.png": curves, **examples},
            notes=[] if count else ["There is no object in the held-out images: no average precision."],
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: every object in the form of COCO's results, the best first, with the name of its category.

        Categories have the ids of the annotation file where the data come from one, else they are counted from 1. A box
        is left, top, width and height; a mask is given where the image's "size" is known, as lengths of runs; a
        keypoint is x, y and score.
        """
        found = objects_of(predicted)
        masks = None if "size" not in predicted else found.pixels(*(int(side) for side in predicted["size"]))
        detections = []
        for place, (left, top, right, bottom) in enumerate(found.boxes.tolist()):
            label = int(found.classes[place])
            said: dict[str, Any] = {"category_id": self.ids[label], "category": self.class_names[label]}
            said["bbox"] = [round(value, 2) for value in (left, top, right - left, bottom - top)]
            said["score"] = float(found.scores[place])
            if masks is not None:
                said["segmentation"] = encoded(masks[place])
            if found.keypoints is not None:
                said["keypoints"] = [round(value, 2) for value in found.keypoints[place].ravel().tolist()]
            detections.append(said)
        return {"detections": detections}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the classes of the objects that are sure."""
        found = objects_of(predicted, SURE)
        said = [f"{self.class_names[i]} {100 * score:.0f} %" for i, score in zip(*found[1:3], strict=True)]
        return ", ".join(said) if said else f"no object is surer than {SURE:.0%}"

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image with the objects that are sure."""
        found = objects_of(predicted, SURE)
        caption = f"{len(found.boxes)} objects" if len(found.boxes) != 1 else "1 object"
        shown = Shown(example["image"], None, found, caption if len(found.boxes) else self.words(predicted))
        side = 3.6 if max(example["image"].shape[:2]) < LARGEST else 6.0
        return pixels(grid([shown], self.class_names, side=side, legend_lines=LEGEND), dpi=150)

    def _examples(self, kept: Leading, title: str, order: str) -> tuple[str, dict[str, bytes]]:
        """See `drawn_examples`."""
        shown = [self._shown(each) for each in kept.examples()]
        text = ". Thin white boxes and white crosses are there; what is in colour is predicted, each object with its "
        text += "class and score in percent."
        return drawn_examples(
            title, shown, lambda theme: grid(shown, self.class_names, COLUMNS, theme=theme), order, text
        )

    def _shown(self, each: Mapping[str, Any]) -> Shown:
        true, found = (
            objects_of({name.removeprefix(start): value for name, value in each.items() if name.startswith(start)})
            for start in ("true_", "predicted_")
        )
        errors = [f"{each[name]} {name}" for name in ("missed", "false") if each[name]]
        caption = f"example {each['row']}\n{', '.join(errors) or 'all found'}"
        return Shown(each["image"], true.scaled(each["scale"]), found.scaled(each["scale"]), caption)

    def _measured(self, run: Run) -> dict[str, float]:
        """The shares that the last evaluation of the run measured, by title, without those that nobody knows."""
        last = {title: series(run.records, "eval", name)[1][-1:] for name, title in self.titles.items()}
        return {title: float(value[0]) for title, value in last.items() if np.isfinite(value).any()}

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
        text = f"A box is right where its intersection with an object of its class is at least {MATCHED:.0%} of their "
        text += f"union, and no surer box found that object. Missed are those that no box surer than {SURE:.0%} found."
        bars = f"<h3>AP at IoU 0.5 by class</h3>{blocks.bars(rows)}"
        return section("Classes", blocks.row(chart, bars), text=text), light

    def _curves(self, theme: Theme = LIGHT) -> Any:
        """Of the classes with the most objects, as many as there are colours."""
        figure = new_figure(4.6, 3.8, theme)
        axes = figure.add_subplot()
        style(axes, theme)
        heading(axes, "Precision by recall", theme)
        labels(axes, theme, "recall", "precision")
        most = np.argsort(-self.judge.objects, kind="stable")[: len(ON_IMAGES)]
        for label in sorted(int(label) for label in most if self.judge.objects[label]):
            recall, precision = self.judge.curve(label)
            axes.step(recall, precision, where="pre", color=class_colour(label), lw=1.2, label=self.class_names[label])
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
        legend(axes, theme, ncols=2, loc="lower left")
        return figure

    def _over_the_run(self, run: Run) -> list[str]:
        """The followed examples after some evaluations, a row an example."""
        if not run.seen or not len(run.followed.get("image", ())):
            return []
        seen = sorted(run.seen, key=lambda each: each[0])
        chosen = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, FRAMES).round().astype(int))]
        images, scale = reduced(run.followed["image"])
        shown = []
        for row in range(len(chosen[0][1]["valid"])):
            true = objects_of(
                {
                    "valid": run.followed["boxes_valid"][row],
                    **{name: run.followed[name][row] for name in ("boxes", "classes")},
                }
            )
            for step, arrays in chosen:
                found = objects_of({name: array[row] for name, array in arrays.items()}, SURE)
                shown.append(Shown(images[row], true.scaled(scale), found.scaled(scale), f"step {grouped(step)}"))
        block, _ = themed(
            lambda theme: grid(shown, self.class_names, len(chosen), 1.1, theme), "Boxes after some evaluations."
        )
        text = "The first held-out examples after evaluations of the run, from left to right."
        return [section("Boxes over the run", block, text=text)]


def _precision(measured: Mapping[str, float]) -> list[str]:
    """Over all overlaps, by size, of masks and keypoints."""
    rows = [(title, share, percent(share, 1, 1), "") for title, share in measured.items()]
    return [section("Average precision", blocks.bars(rows), text="After the last evaluation.")] if rows else []
