"""A batch with a field of every kind, for the tests of what moves them."""

import numpy as np

from train.data import Facts, Field, Kind

BATCH, HEIGHT, WIDTH, MOST, PAD = 12, 16, 28, 3, 6
FACTS = Facts(mirror=((0, 1),), ignore=-7)


def spec_of(height, width):
    """A field of every kind."""
    size = (height, width)
    return {
        "image": Field(Kind.IMAGE, (*size, 3), "float32"),
        "clip": Field(Kind.CLIP, (2, *size, 3), "float32"),
        "label_map": Field(Kind.LABEL_MAP, size, "int32"),
        "map": Field(Kind.MAP, (*size, 1), "float32"),
        "flow": Field(Kind.FLOW, (*size, 2), "float32"),
        "flows": Field(Kind.FLOWS, (2, *size, 2), "float32"),
        "normals": Field(Kind.NORMALS, (*size, 3), "float32"),
        "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
        "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
        "masks": Field(Kind.MASKS, (None, *size), "bool", (MOST,)),
        "keypoints": Field(Kind.KEYPOINTS, (None, 3, 3), "float32", (MOST,)),
        "tokens": Field(Kind.TOKENS, (None,), "int32", (MOST,)),
        "label": Field(Kind.LABEL, (), "int32"),
        "target": Field(Kind.VALUE, (), "float32"),
        "name": Field(Kind.PLAIN, (2,), "int32"),
    }


def batch_of(height=HEIGHT, width=WIDTH, seed=0):
    """Random fields; each object is a filled box on pixel borders, with points in the middle of three of its pixels."""
    random = np.random.default_rng(seed)
    size = (BATCH, height, width)
    left, top = random.integers(0, (width - 6, height - 6), (BATCH, MOST, 2)).transpose(2, 0, 1)
    right, bottom = left + random.integers(3, 7, left.shape), top + random.integers(3, 7, left.shape)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    inside = lambda start, at, end: (start[..., None, None] <= at) & (at < end[..., None, None])  # noqa: E731
    masks = inside(left, columns, right) & inside(top, rows, bottom)
    x = left[..., None] + random.integers(0, 3, (BATCH, MOST, 3)) + 0.5
    y = top[..., None] + random.integers(0, 3, (BATCH, MOST, 3)) + 0.5
    normals = random.normal(size=(*size, 3)).astype(np.float32)
    valid = np.arange(MOST) < random.integers(1, MOST + 1, BATCH)[:, None]
    batch = {
        "image": random.uniform(size=(*size, 3)).astype(np.float32),
        "clip": random.uniform(size=(BATCH, 2, height, width, 3)).astype(np.float32),
        "label_map": random.integers(0, 9, size).astype(np.int32),
        "map": random.uniform(1, 2, (*size, 1)).astype(np.float32),
        "flow": random.normal(size=(*size, 2)).astype(np.float32),
        "flows": random.uniform(-1, 1, (BATCH, 2, height, width, 2)).astype(np.float32),
        "normals": normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        "boxes": np.stack([left, top, right, bottom], axis=-1).astype(np.float32),
        "classes": random.integers(1, 9, (BATCH, MOST)).astype(np.int32),
        "masks": masks,
        "keypoints": np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32),
        "tokens": random.integers(1, 9, (BATCH, MOST)).astype(np.int32),
        "label": np.arange(BATCH, dtype=np.int32),
        "target": random.normal(size=BATCH).astype(np.float32),
        "name": random.integers(0, 9, (BATCH, 2)).astype(np.int32),
    }
    for name in ("boxes", "classes", "masks", "keypoints", "tokens"):
        batch[f"{name}_valid"] = valid
        batch[name] = batch[name] * valid.reshape(BATCH, MOST, *[1] * (batch[name].ndim - 2))
    return batch
