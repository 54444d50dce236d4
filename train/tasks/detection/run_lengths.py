"""Masks of objects as the run lengths in which COCO writes them.

Lin et al., 2014, Microsoft COCO: Common Objects in Context; pycocotools, `frUncompressedRLE`, which reads them.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool


def run_lengths(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as COCO's uncompressed run lengths: down the columns, of background and object in turn.

    >>> run_lengths(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {"size": [int(side) for side in mask.shape], "counts": counts.tolist()}
