"""A batch of scenes with boxes of digits, and a prediction of them without fault."""

import numpy as np

from train.data.fields import Field, Kind

random = np.random.default_rng(0)
NAMES, COUNT, MOST, SIDE = ("a", "b", "c"), 5, 4, 32
SPEC = {
    "image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
    "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
}
CORNERS = np.array([[1, 2], [17, 1], [2, 18], [18, 18]], np.float32)  # each in a quarter of its own
VALID = np.arange(MOST) < np.array([4, 0, 2, 1, 3])[:, None]
SIDES = random.uniform(6, 12, (COUNT, MOST, 2))
BOXES = np.concatenate([np.tile(CORNERS, (COUNT, 1, 1)), CORNERS + SIDES], axis=2)
BATCH = {
    "image": random.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8),
    "boxes": (BOXES * VALID[..., None]).astype(np.float32),
    "boxes_valid": VALID,
    "classes": (random.integers(0, 3, (COUNT, MOST)) * VALID).astype(np.int32),
    "classes_valid": VALID,
    "index": np.arange(COUNT),
    "mask": np.ones(COUNT, bool),
}
TRUTH = {
    "boxes": BATCH["boxes"],
    "classes": BATCH["classes"],
    "valid": VALID,
    "scores": VALID * np.linspace(0.9, 0.6, MOST),
}
"""A prediction without fault."""
