"""Published files whose batch normalisations add another epsilon to the variance than the networks here.

torchvision's first detectors were trained with none in the backbone, and torchvision takes it away where it loads them
(`overwrite_eps` in torchvision/models/detection/_utils.py). Here the scales take up the difference: the network stays
the same, and what it computes is what theirs computes. Rows L55, L58-L60, L67-L70.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.catalog import Entry
from zoo.weights.source import digest_of

WITHOUT_EPSILON = frozenset({"258fb6c6", "bf2d0c1e", "fc266e95", "eeacb38b"})
"""The first digits of the digests of the files COCO_V1 of fasterrcnn_, maskrcnn_, keypointrcnn_ and
retinanet_resnet50_fpn. COCO_LEGACY of Keypoint R-CNN is not one of them."""
PART = "backbone"
EPSILON = 1e-5
"""Of the backbone here."""


def is_without_epsilon(path: Path, entry: Entry) -> bool:
    """Whether a file, whatever its name, is one of these; of models that have none of them it is not read.

    Args:
      path: the file.
      entry: the model's row in the catalog.
    """
    digests = {file.sha256 for file in entry.pretrained} & WITHOUT_EPSILON
    return bool(digests) and digest_of(path).startswith(tuple(digests))


def with_epsilon(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same backbone for an epsilon of `EPSILON`: its scales grow as what they are divided by does.

    Args:
      arrays: all variables, by our paths; what is not the scale of a normalisation of the backbone is kept.

    >>> old = {"params/backbone/norm/scale": np.ones(1), "batch_stats/backbone/norm/var": np.full(1, 1e-5)}
    >>> with_epsilon(old)["params/backbone/norm/scale"].round(3).tolist()
    [1.414]
    """
    changed = dict(arrays)
    for path, variance in arrays.items():
        scale = path.replace("batch_stats/", "params/", 1).removesuffix("var") + "scale"
        if not path.startswith(f"batch_stats/{PART}/") or not path.endswith("/var") or scale not in arrays:
            continue
        exact = variance.astype(np.float64)
        changed[scale] = (arrays[scale] * np.sqrt(1 + EPSILON / exact)).astype(arrays[scale].dtype)
    return changed
