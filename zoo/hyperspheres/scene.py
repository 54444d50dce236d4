"""What a globe shows: unit vectors in three dimensions, where they are seen from, and the colours of classes.

Lecture rows L80-L94. Colours of up to ten classes: Petroff, 2021, Accessible Color Sequences for Data Visualization;
of values: viridis, Smith and van der Walt, 2015.
"""

from __future__ import annotations

import colorsys
import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from zoo.hyperspheres.losses import TINY

COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
BEHIND = -1e-3
"""A depth below it is drawn paler; the points of a circle seen from above are at 0."""
COMPARED = 100
"""So many prototypes at most are looked at for the place to see them from."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """Vectors as they are drawn; at most as long as 1, shorter where they are shadows of more dimensions."""

    dims: int
    """Of the vectors that were given."""
    prototypes: Float[np.ndarray, "classes 3"]
    frames: Float[np.ndarray, "frames points 3"]
    angles: Float[np.ndarray, "frames-1 points"]
    """Between a point and itself in the next frame, in all dimensions, in radians."""
    labels: Int[np.ndarray, " points"]
    """Empty where there are none."""
    values: Float[np.ndarray, " points"]
    """Empty where there are none."""
    names: list[str]
    caption: str
    """What a projection left of the variance, a sentence and a space; empty where nothing was left out."""

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return (float(self.values.min()), float(self.values.max())) if self.values.size else (0.0, 1.0)


def make_scene(
    prototypes: Float[np.ndarray, "classes dims"],
    frames: Float[np.ndarray, "frames points dims"] | Float[np.ndarray, "points dims"],
    labels: Int[np.ndarray, " points"] | None,
    class_names: Sequence[str],
    values: Float[np.ndarray, " points"] | None,
) -> Scene:
    """Checks what is to be drawn, makes unit vectors and, of more than three dimensions, a projection.

    Raises:
      ValueError: for shapes or counts that do not fit each other, not finite numbers, labels that are no class.
    """
    prototypes, frames = np.asarray(prototypes, np.float64), np.asarray(frames, np.float64)
    given = f"{prototypes.shape} and {frames.shape}"
    frames = frames[None] if frames.ndim == 2 else frames
    if prototypes.ndim != 2 or frames.ndim != 3 or not len(prototypes) or not len(frames):
        raise ValueError(
            "expected prototypes (classes, dims) and points (points, dims) or (frames, points, dims), "
            f"at least one class and one frame, got shapes {given}"
        )
    classes, dims = prototypes.shape
    points = frames.shape[1]
    if frames.shape[2] != dims or dims < 2:
        raise ValueError(f"expected prototypes and points of the same 2 or more dims, got {dims} and {frames.shape[2]}")
    if len(class_names) not in (0, classes):
        raise ValueError(f"expected {classes} class names, one a prototype, or none, got {len(class_names)}")
    labels, values = _labels(labels, classes, points), _values(values, points)
    if points and not labels.size and not values.size:
        raise ValueError("expected labels, values or both, got neither")
    for name, numbers in (("prototypes", prototypes), ("points", frames), ("values", values)):
        if not np.isfinite(numbers).all():
            raise ValueError(f"expected finite {name}, got {(~np.isfinite(numbers)).sum()} numbers that are not")

    prototypes, frames = _unit(prototypes), _unit(frames)
    before, after = frames[:-1], frames[1:]
    angles = 2 * np.arctan2(np.linalg.norm(after - before, axis=-1), np.linalg.norm(after + before, axis=-1))
    caption = ""
    if dims > 3:
        axes, share, whose = _axes(prototypes, frames[-1])
        prototypes, frames = prototypes @ axes.T, frames @ axes.T
        caption = f"Three of {dims} dimensions, {100 * share:.0f} % of the {whose}' variance. "
    elif dims == 2:
        prototypes, frames = _with_height(prototypes), _with_height(frames)
    names = [str(name) for name in class_names] or [str(label) for label in range(classes)]
    return Scene(dims, prototypes, frames, angles, labels, values, names, caption)


def turned(vectors: Float[np.ndarray, "n 3"], yaw: float, pitch: float) -> Float[np.ndarray, "n 3"]:
    """As seen from above the equator by `pitch`, the sphere turned by `yaw`: right, up, towards the viewer; radians.

    >>> abs(turned(np.eye(3), 0.0, np.pi / 2)).round(6).tolist()  # from the north pole, x is right and y up
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    x, y, z = vectors.T
    across, away = x * np.cos(yaw) - y * np.sin(yaw), x * np.sin(yaw) + y * np.cos(yaw)
    sin, cos = np.sin(pitch), np.cos(pitch)
    return np.stack([across, away * sin + z * cos, z * sin - away * cos], axis=-1)


def viewpoint(scene: Scene) -> tuple[float, float]:
    """The yaw and pitch from which prototypes lie far apart and far from the centre, and most points in front."""
    if scene.dims == 2:
        return 0.0, np.pi / 2
    vectors, points = scene.prototypes[:COMPARED], scene.frames[-1]
    middle = (points if len(points) else vectors).mean(axis=0, keepdims=True)
    best, view = -np.inf, (0.0, 0.0)
    for pitch in np.radians([15, 20, 25, 30, 35]):
        for yaw in np.radians(np.arange(5, 360, 10)):
            seen = turned(vectors, yaw, pitch)
            flat = np.vstack([seen[:, :2], np.zeros(2)])
            apart = np.linalg.norm(flat[:, None] - flat, axis=-1) + 9 * np.eye(len(flat))
            score = apart.min() + 0.3 * turned(middle, yaw, pitch)[0, 2]
            if score > best + 1e-9:
                best, view = score, (float(yaw), float(pitch))
    return view


def graticule(around: Float[np.ndarray, " n"]) -> list[Float[np.ndarray, "n 3"]]:
    """Meridians and parallels every 30 degrees, at the given angles around each."""
    cos, sin = np.cos(around), np.sin(around)
    turns, levels = np.arange(6) * np.pi / 6, np.arange(-2, 3) * np.pi / 6
    meridians = [np.stack([np.cos(turn) * cos, np.sin(turn) * cos, sin], axis=1) for turn in turns]
    return meridians + [np.stack([np.cos(v) * cos, np.cos(v) * sin, 0 * cos + np.sin(v)], axis=1) for v in levels]


def class_colours(classes: int) -> list[str]:
    """Up to ten that colour-blind readers tell apart; beyond, so many hues, light and dark in turn.

    >>> class_colours(2), len(set(class_colours(100)))
    (['#3f90da', '#ffa90e'], 100)
    """
    if classes <= len(COLOURS):
        return list(COLOURS[:classes])
    shades = [colorsys.hls_to_rgb(k / classes, (0.42, 0.6)[k % 2], 0.65) for k in range(classes)]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in shade) for shade in shades]


def lightened(colours: Sequence[str], share: float) -> list[str]:
    """Mixed with so much white, for dark paper.

    >>> lightened(["#000000", "#ff8000"], 0.5)
    ['#808080', '#ffc080']
    """
    parts = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours]
    return ["#" + "".join(f"{round(v + (255 - v) * share):02x}" for v in part) for part in parts]


def _labels(labels: Int[np.ndarray, " points"] | None, classes: int, points: int) -> Int[np.ndarray, " points"]:
    labels = np.asarray([] if labels is None else labels)
    if not labels.size and labels.ndim == 1:
        return labels.astype(int)
    if labels.shape != (points,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"expected {points} whole labels, one a point, got {labels.dtype} of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"expected labels in [0, {classes}), got labels from {labels.min()} to {labels.max()}")
    return labels


def _values(values: Float[np.ndarray, " points"] | None, points: int) -> Float[np.ndarray, " points"]:
    if values is None:
        return np.zeros(0)
    values = np.asarray(values, np.float64)
    if values.shape != (points,):
        raise ValueError(f"expected {points} values, one a point, got shape {values.shape}")
    return values


def _unit(vectors: Float[np.ndarray, "*n dims"]) -> Float[np.ndarray, "*n dims"]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > TINY)


def _with_height(vectors: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 3"]:
    return np.concatenate([vectors, np.zeros_like(vectors[..., :1])], axis=-1)


def _axes(
    prototypes: Float[np.ndarray, "classes dims"], points: Float[np.ndarray, "points dims"]
) -> tuple[Float[np.ndarray, "3 dims"], float, str]:
    """The first three principal axes, the share of the variance along them, and whose they are."""
    spanned = np.linalg.matrix_rank(prototypes - prototypes.mean(axis=0), tol=1e-3) >= 3
    whose = "prototypes" if spanned or not len(points) else "points"
    vectors = prototypes if whose == "prototypes" else points
    centred = vectors - vectors.mean(axis=0)
    # Rows of zeros, so that there are three axes of however few vectors.
    centred = np.vstack([centred, np.zeros((3, centred.shape[1]))])
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    total = (lengths**2).sum()
    return axes[:3], float((lengths[:3] ** 2).sum() / total) if total else 1.0, whose
