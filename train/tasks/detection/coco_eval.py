"""pycocotools' evaluation of objects that are in memory.

Lin et al., 2014, Microsoft COCO: Common Objects in Context.
"""

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from train.data.rle import coco_tools

What = Literal["boxes", "masks", "keypoints"]
_TYPES: dict[What, str] = {"boxes": "bbox", "masks": "segm", "keypoints": "keypoints"}
SIGMA = 0.05
"""How far a keypoint may lie off, as a share of the object's size, where it is none of COCO's 17."""


class Image(NamedTuple):
    """What is kept of an image: objects as dictionaries of COCO's names, in pixels of its file."""

    true: list[dict[str, Any]]
    found: list[dict[str, Any]]


def evaluated(
    kind: What, images: Sequence[Image], num_classes: int, sigmas: Sequence[float] | None = None
) -> tuple[Float[np.ndarray, "10 101 classes sizes counts"], list[float]]:
    """Precision by IoU, recall, class, size and detections an image, -1 where nobody knows; and pycocotools' `stats`.

    Args:
      kind: of what.
      images: what is in each, and what was found.
      num_classes: of objects.
      sigmas: of keypoints; by default COCO's where there are 17, else `SIGMA`.

    Raises:
      DataError: pycocotools is not installed.
    """

    class Evaluation(coco_tools("cocoeval", "COCO's average precision").COCOeval):
        """Of objects that are in memory."""

        def _prepare(self) -> None:
            self._gts, self._dts = defaultdict(list), defaultdict(list)
            number = 0
            for image, (true, found) in enumerate(images):
                for each in true:
                    number += 1
                    ignore = each["iscrowd"] or each["difficult"]
                    if kind == "keypoints":
                        ignore = ignore or not each["num_keypoints"]
                    self._gts[image, each["category_id"]].append(
                        {**each, "id": number, "image_id": image, "ignore": int(ignore)}
                    )
                for each in found:
                    number += 1
                    area = each.get({"masks": "mask_area", "keypoints": "keypoint_area"}.get(kind, ""), each["area"])
                    self._dts[image, each["category_id"]].append(
                        {**each, "id": number, "image_id": image, "area": area}
                    )
            self.evalImgs, self.eval = defaultdict(list), {}

    evaluation = Evaluation(iouType=_TYPES[kind])
    evaluation.params.imgIds, evaluation.params.catIds = list(range(len(images))), list(range(num_classes))
    if kind == "keypoints":
        evaluation.params.kpt_oks_sigmas = _sigmas_of(images, sigmas, evaluation.params.kpt_oks_sigmas)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.eval["precision"], evaluation.stats.tolist()


def _sigmas_of(images: Sequence[Image], sigmas: Sequence[float] | None, cocos: np.ndarray) -> np.ndarray:
    if sigmas is not None:
        return np.asarray(sigmas, float)
    count = next((len(each["keypoints"]) // 3 for image in images for each in (*image.true, *image.found)), 17)
    return cocos if count == len(cocos) else np.full(count, SIGMA)
