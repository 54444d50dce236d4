"""Surfaces: depth, normals, reflectance and shading of every pixel, each alone or all by one network.

Eigen, Puhrsch and Fergus, 2014, and Eigen and Fergus, 2015, for depth and normals; Narihira, Maire and Yu, 2015, Direct
Intrinsics, for reflectance and shading. Losses and errors are in `zoo.dense`. Lecture rows L63, L64.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.surfaces import Surfaces as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import OfFields, Source
from train.tasks.fitting import Rows
from train.tasks.protocol import Batch, OneForward, Page, Prediction, Ratio, Totals
from zoo.dense import depth, intrinsic, normals

Maps = Mapping[str, Float[Array, "batch height width _"]]
Sums = tuple[Float[Array, ""], Float[Array, ""]]

FIELDS = {
    "depth": (Kind.MAP, 1),
    "normals": (Kind.NORMALS, 3),
    "reflectance": (Kind.MAP, 3),
    "shading": (Kind.MAP, 1),
}
"""What the field of each map is, and how many numbers a pixel it has."""
METRICS = {
    "depth": (
        Metric("abs_rel", "Depth, relative error", percent=True, higher_is_better=False),
        Metric("delta1", "Depth within a factor of 1.25", percent=True),
        Metric("rmse", "Depth, root mean squared error", unit="m", higher_is_better=False),
    ),
    "normals": (
        Metric("angle", "Normals, mean angle", unit="°", higher_is_better=False),
        Metric("under11", "Normals within 11.25°", percent=True),
    ),
    "reflectance": (Metric("reflectance_lmse", "Reflectance, local error", percent=True, higher_is_better=False),),
    "shading": (Metric("shading_lmse", "Shading, local error", percent=True, higher_is_better=False),),
}
"""Of each map; the first is also that of the constant prediction, under its name and `CONSTANT`."""
CONSTANT = "_constant"
_LOOKED_AT = 500
"""Training examples of which the constant is that fits best."""


@dataclasses.dataclass(frozen=True)
class Surfaces(OneForward):
    """Maps of numbers: float32 `batch["depth"]` and so on. Pixels of nan, or a depth of 0 or less, count nowhere."""

    writes: ClassVar[tuple[str, ...]] = ("npz",)

    maps: tuple[str, ...]
    weights: tuple[float, ...]
    """Of the losses, one a map."""
    constants: Rows
    """For each map what the training examples have on average: the geometric mean of depth, the mean direction."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the constants, beside which a network has to be better.

        Raises:
          RecipeError: there is no such field, or not a pixel of it is known.
        """
        _check(settings.maps, source.spec)
        constants = _constants(settings.maps, source)
        return cls(settings.maps, settings.weights or (1.0,) * len(settings.maps), constants)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See `Task`."""
        return (*(metric for name in self.maps for metric in METRICS[name]), LOSS)

    @property
    def fields(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("image", *self.maps)

    @property
    def places(self) -> dict[str, Kind]:
        """See `Task`."""
        return {name: FIELDS[name][0] for name in self.maps}

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: an image, and maps of its size.

        Raises:
          RecipeError: a field is missing, of another kind, or of another size than the image.
        """
        super().check(spec, facts)
        _check(self.maps, spec)

    def model_options(self) -> dict[str, Any]:
        """Which maps the network predicts."""
        return {"predicts": self.maps}

    def objective(self, outputs: Maps, batch: Batch) -> Ratio:
        """The loss of each map, a term of its own: of depth and intrinsic images a mean over images, else pixels."""
        total, weight = self._losses(outputs, batch)
        return Ratio(total * jnp.array(self.weights), weight)

    def totals(self, outputs: Maps, batch: Batch) -> Totals:
        """The losses, and for each map the sums of its errors, of the outputs and of the constant."""
        counted = _counted(batch)
        total, weight = self._losses(outputs, batch)
        sums: dict[str, Any] = {"loss": total * jnp.array(self.weights), "weight": weight}
        for name, constant in zip(self.maps, self.constants, strict=True):
            true = batch[name]
            same = jnp.broadcast_to(jnp.array(constant, jnp.float32), true.shape)
            sums[name] = {
                "network": _sums(name, outputs[name], true, counted),
                "constant": _sums(name, same, true, counted),
            }
        return sums

    def scores(self, totals: Totals) -> dict[str, float]:
        """The errors of each map, and of the constant; nan of maps of which no pixel is known."""
        scores = {LOSS.name: Ratio(totals["loss"], totals["weight"]).mean()}
        for name in self.maps:
            scores |= _scores(name, totals[name]["network"])
            first = METRICS[name][0].name
            scores[first + CONSTANT] = _scores(name, totals[name]["constant"])[first]
        return scores

    def decode(self, outputs: Maps) -> Prediction:
        """The maps: depth in metres, reflectance and shading in linear light."""
        return {name: outputs[name].astype(jnp.float32) for name in self.maps}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.surfaces.page import SurfacePage

        return SurfacePage(self.maps, self.constants)

    def _losses(self, outputs: Maps, batch: Batch) -> tuple[Float[Array, "maps"], Float[Array, "maps"]]:
        counted = _counted(batch)
        terms = [_loss(name, outputs[name], batch[name], counted) for name in self.maps]
        total, weight = (jnp.stack(parts) for parts in zip(*terms, strict=True))
        return total, weight


def _counted(batch: Batch) -> Bool[Array, "batch 1 1"]:
    return batch["mask"][:, None, None]


def _loss(name: str, predicted: Array, true: Array, counted: Array) -> Sums:
    """A map's loss as a sum and its weight.

    Reflectance and shading are compared before and after the best factor, as Narihira et al. take the mean of both:
    an image alone does not say how bright the light was, but data that are all lit alike do.
    """
    match name:
        case "depth":
            return depth.scale_invariant_loss(predicted[..., 0], true[..., 0], counted)
        case "normals":
            return normals.cosine_loss(predicted, true, counted)
    total, images = intrinsic.scale_invariant_error(predicted, true, counted)
    return (total + squared_error(predicted, true, counted)) / 2, images


def squared_error(
    predicted: Float[Array, "batch height width channels"],
    true: Float[Array, "batch height width channels"],
    counted: Bool[Array, "batch _ _"],
) -> Float[Array, ""]:
    """The mean squared error over each image's known pixels, summed over the images.

    >>> true = jnp.array([[[[1.0], [jnp.nan]]]])
    >>> float(squared_error(jnp.zeros_like(true), true, jnp.ones((1, 1, 1), bool)))
    1.0
    """
    known = (jnp.all(jnp.isfinite(true), axis=-1) & counted)[..., None]
    errors = jnp.square(predicted.astype(jnp.float32) - jnp.where(known, true, 0))
    numbers = true.shape[-1] * jnp.sum(known, axis=(1, 2, 3))
    return jnp.sum(jnp.sum(errors, axis=(1, 2, 3), where=known) / jnp.maximum(numbers, 1))


def _sums(name: str, predicted: Array, true: Array, counted: Array) -> dict[str, Float[Array, ""]]:
    match name:
        case "depth":
            return depth.depth_sums(predicted[..., 0], true[..., 0], counted)
        case "normals":
            return normals.angle_sums(predicted, true, counted)
    total, images = intrinsic.local_error(predicted, true, counted)
    return {"error": total, "images": images}


def _scores(name: str, sums: Mapping[str, float]) -> dict[str, float]:
    match name:
        case "depth":
            found = depth.depth_scores(sums)
        case "normals":
            found = normals.angle_scores(sums)
        case _:
            images = float(sums["images"])
            found = {f"{name}_lmse": float(sums["error"]) / images if images else float("nan")}
    return {metric.name: found[metric.name] for metric in METRICS[name]}


def _check(maps: tuple[str, ...], spec: Spec) -> None:
    size = spec["image"].shape[:2] if "image" in spec else ()
    for name in maps:
        kind, channels = FIELDS[name]
        if name not in spec or (spec[name].kind, spec[name].shape) != (kind, (*size, channels)):
            raise RecipeError(
                f"expected an image and its {name}, {kind} of {channels} numbers a pixel, found {describe(spec)}"
            )


def _constants(maps: tuple[str, ...], source: Source) -> Rows:
    """The best constant of each map, as plain values.

    Raises:
      RecipeError: no pixel of a map is known.
    """
    rows = np.unique(np.linspace(0, len(source) - 1, min(len(source), _LOOKED_AT)).astype(int))
    sums = {name: np.zeros(FIELDS[name][1]) for name in maps}
    counts = dict.fromkeys(maps, 0)
    for row in rows:
        (example,) = OfFields(source, maps).examples([row])
        for name in maps:
            values = np.asarray(example[name], np.float64)
            if name == "depth":
                values = np.log(values, where=values > 0, out=np.full_like(values, np.nan))
            values = values[np.isfinite(values).all(axis=-1)]
            sums[name] += values.sum(axis=0)
            counts[name] += len(values)
    for name, count in counts.items():
        if not count:
            raise RecipeError(f"{source.name}: expected training examples with {name}, found no pixel that is known")
    means = {name: sums[name] / counts[name] for name in maps}
    if "depth" in means:
        means["depth"] = np.exp(means["depth"])
    if "normals" in means:
        means["normals"] /= max(float(np.linalg.norm(means["normals"])), 1e-12)
    return tuple(tuple(map(float, means[name])) for name in maps)
