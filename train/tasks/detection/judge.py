"""Average precision as COCO and as Pascal VOC count it.

Lin et al., 2014, Microsoft COCO: Common Objects in Context, counted by pycocotools. Everingham et al., 2010, The Pascal
Visual Object Classes Challenge, section 4.2, in `voc_judge.py`; recall of proposals in
`proposals_judge.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from train.config import Metric
from train.data.fields import ORIGINAL_SIZE, SIZE
from train.data.rle import area_of, coco_tools, encoded
from train.tasks.detection.coco_eval import Image, What, evaluated
from train.tasks.protocol import HostBatch, HostPrediction
from zoo.detection.canvas import pasted

_PREFIXES: dict[What, str] = {"boxes": "", "masks": "mask_", "keypoints": "keypoint_"}
_TITLES: dict[What, str] = {"boxes": "", "masks": " of masks", "keypoints": " of keypoints"}
_NAMES = (
    ("ap", "AP at IoU 0.5 to 0.95"),
    ("ap50", "AP at IoU 0.5"),
    ("ap75", "AP at IoU 0.75"),
    ("ap_small", "AP of small objects"),
    ("ap_medium", "AP of medium objects"),
    ("ap_large", "AP of large objects"),
    ("ar1", "Recall by 1 detection"),
    ("ar10", "Recall by 10 detections"),
    ("ar100", "Recall by 100 detections"),
    ("ar_small", "Recall of small objects"),
    ("ar_medium", "Recall of medium objects"),
    ("ar_large", "Recall of large objects"),
)
"""In the order of pycocotools' `stats`; small is below 32 x 32 pixels of the image file, large from 96 x 96 on."""
_OF_KEYPOINTS = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50", "ar75", "ar_medium", "ar_large")
_MORE = {"ar": "Recall at OKS 0.5 to 0.95", "ar50": "Recall at OKS 0.5", "ar75": "Recall at OKS 0.75"}


def metrics_of(*kinds: What) -> tuple[Metric, ...]:
    """What `CocoJudge.scores` gives for boxes, masks and keypoints.

    >>> [metric.name for metric in metrics_of("masks")][:3]
    ['mask_ap', 'mask_ap50', 'mask_ap75']
    """
    titles = dict(_NAMES) | _MORE
    return tuple(
        Metric(
            _PREFIXES[kind] + name,
            (titles[name].replace("IoU", "OKS") if kind == "keypoints" else titles[name]) + _TITLES[kind],
            percent=True,
        )
        for kind in kinds
        for name in _names_of(kind)
    )


def _names_of(kind: What) -> Sequence[str]:
    return _OF_KEYPOINTS if kind == "keypoints" else [name for name, _ in _NAMES]


class CocoJudge:
    """COCO's numbers. It keeps boxes, scores, keypoints, and masks as RLE.

    Of a batch it reads the fields that sources of objects have: boxes, classes (from 0), masks and keypoints, with
    `is_crowd` (what is found in one counts neither way), `is_difficult` (nor does that), and `area`, `size`
    and `original_size`, without which a canvas is taken as the image. Of a prediction: boxes, classes (from 0), scores,
    valid, keypoints (x, y, score) and masks, (most, m, m) probabilities in the boxes or (most, height, width) bools.

    Args:
      num_classes: of objects.
      kinds: of what: boxes, masks, keypoints.
      sigmas: of each keypoint; by default COCO's where there are 17, else `coco_eval.SIGMA`.

    Raises:
      DataError: pycocotools is not installed.
    """

    def __init__(
        self, num_classes: int, kinds: Sequence[What] = ("boxes",), sigmas: Sequence[float] | None = None
    ) -> None:
        coco_tools("cocoeval", "COCO's average precision")
        self.kinds = tuple(kinds)
        self.objects: Int[np.ndarray, "classes"] = np.zeros(num_classes, np.int64)
        """How many there are of each class, but for crowds and difficult ones."""
        self._sigmas = None if sigmas is None else tuple(sigmas)
        self._images: list[Image] = []
        self._evaluated: dict[What, tuple[Any, Any]] = {}

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        self._evaluated.clear()
        for row in range(len(batch["boxes"])):
            image = Image(self._true(batch, row), self._found(batch, predicted, row))
            self._images.append(image)
            for each in image.true:
                self.objects[each["category_id"]] += not (each["iscrowd"] or each["difficult"])

    def merge(self, other: "CocoJudge") -> None:
        """See `Judge`."""
        self._evaluated.clear()
        self._images += other._images
        self.objects = self.objects + other.objects

    def scores(self) -> dict[str, float]:
        """See `Judge`: nan where there is no object, of a size for example."""
        scores: dict[str, float] = {}
        for kind in self.kinds:
            _, stats = self._evaluation(kind)
            for name, value in zip(_names_of(kind), stats, strict=True):
                scores[_PREFIXES[kind] + name] = float(value) if value > -1 else float("nan")
        return scores

    def by_class(self, kind: What = "boxes") -> Float[np.ndarray, "classes"]:
        """AP at IoU 0.5 to 0.95 of each class; nan where it has no object."""
        precision, _ = self._evaluation(kind)
        return _mean(precision[:, :, :, 0, -1], axis=(0, 1))

    def by_threshold(self, kind: What = "boxes") -> Float[np.ndarray, "10"]:
        """AP at each of IoU 0.5, 0.55, ..., 0.95, the mean of the classes that have an object."""
        precision, _ = self._evaluation(kind)
        return _mean(precision[..., 0, -1], axis=(1, 2))

    def curve(
        self, label: int, threshold: float = 0.5, kind: What = "boxes"
    ) -> tuple[Float[np.ndarray, "101"], Float[np.ndarray, "101"]]:
        """Recalls 0, 0.01, ..., 1 and the best precision at each, or beyond it, of a class; nan without objects."""
        precision, _ = self._evaluation(kind)
        place = int(np.argmin(np.abs(np.linspace(0.5, 0.95, 10) - threshold)))
        values = precision[place, :, label, 0, -1]
        return np.linspace(0, 1, 101), np.where(values > -1, values, np.nan)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_evaluated": {}}

    def _true(self, batch: HostBatch, row: int) -> list[dict[str, Any]]:
        scale, _ = _scale(batch, row)
        objects = []
        for place in np.flatnonzero(batch["boxes_valid"][row]):
            box = _file_box(batch["boxes"][row, place], scale)
            each: dict[str, Any] = {
                "category_id": int(batch["classes"][row, place]),
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(bool(batch["is_crowd"][row, place])) if "is_crowd" in batch else 0,
                "difficult": bool(batch["is_difficult"][row, place]) if "is_difficult" in batch else False,
            }
            if "masks" in self.kinds:
                each["segmentation"] = encoded(_shown(batch, row, batch["masks"][row, place]))
                each["area"] = area_of(each["segmentation"]) * float(np.prod(scale))
            if "area" in batch:
                each["area"] = float(batch["area"][row, place])
            if "keypoints" in self.kinds:
                points = _file_points(batch["keypoints"][row, place], scale)
                points[:, 2] = 2 * (points[:, 2] > 0)
                each["keypoints"], each["num_keypoints"] = points.ravel(), int(np.count_nonzero(points[:, 2]))
            objects.append(each)
        return objects

    def _found(self, batch: HostBatch, predicted: HostPrediction, row: int) -> list[dict[str, Any]]:
        scale, (height, width) = _scale(batch, row)
        found = []
        for place in np.flatnonzero(predicted["valid"][row]):
            box = predicted["boxes"][row, place]
            in_file = _file_box(box, scale)
            each: dict[str, Any] = {
                "category_id": int(predicted["classes"][row, place]),
                "score": float(predicted["scores"][row, place]),
                "bbox": in_file,
                "area": in_file[2] * in_file[3],
                "iscrowd": 0,
            }
            if "masks" in self.kinds:
                mask = predicted["masks"][row, place]
                mask = (
                    _shown(batch, row, mask) if mask.dtype == bool else pasted(mask[None], box[None], height, width)[0]
                )
                each["segmentation"] = encoded(mask)
                each["mask_area"] = area_of(each["segmentation"]) * float(np.prod(scale))
            if "keypoints" in self.kinds:
                points = _file_points(predicted["keypoints"][row, place], scale)
                each["keypoints"] = points.ravel()
                low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
                each["keypoint_area"] = float(np.prod(high - low))
            found.append(each)
        return found

    def _evaluation(self, kind: What) -> tuple[Float[np.ndarray, "10 101 classes sizes counts"], list[float]]:
        """Precision by IoU, recall, class, size and detections an image; and pycocotools' numbers."""
        if kind not in self._evaluated:
            self._evaluated[kind] = evaluated(kind, self._images, len(self.objects), self._sigmas)
        return self._evaluated[kind]


def _scale(batch: HostBatch, row: int) -> tuple[Float[np.ndarray, "2"], tuple[int, int]]:
    """Pixels of the file, x and y, for one of the canvas; and the image's height and width on the canvas."""
    if SIZE not in batch:
        height, width = batch["image"].shape[1:3] if "image" in batch else batch["masks"].shape[2:4]
        return np.ones(2), (height, width)
    height, width = (int(side) for side in batch[SIZE][row])
    if ORIGINAL_SIZE not in batch:
        return np.ones(2), (height, width)
    return batch[ORIGINAL_SIZE][row][::-1] / np.array([width, height], float), (height, width)


def _file_box(box: Float[np.ndarray, "4"], scale: Float[np.ndarray, "2"]) -> list[float]:
    """Left, top, width and height in the file."""
    left, top, right, bottom = (np.asarray(box, np.float64) * np.tile(scale, 2)).tolist()
    return [left, top, right - left, bottom - top]


def _file_points(points: Float[np.ndarray, "points 3"], scale: Float[np.ndarray, "2"]) -> np.ndarray:
    return np.asarray(points, np.float64) * [*scale, 1]


def _shown(batch: HostBatch, row: int, mask: np.ndarray) -> np.ndarray:
    """A mask without the padding of its canvas."""
    _, (height, width) = _scale(batch, row)
    return mask[:height, :width]


def _mean(precision: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    known = precision > -1
    count = known.sum(axis=axis)
    total = np.where(known, precision, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
