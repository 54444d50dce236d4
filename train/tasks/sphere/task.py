"""Tasks on the hypersphere: classes, a value, or both, as directions of the output. Lecture rows L80-L88.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks. The slides add up the loss over the batch,
here it is its mean, as of every task: a learning rate r and weight decay w of theirs are r n and w / n here, with n
examples in a batch.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from train.config.tasks import sphere as settings_of
from train.data.source import Source
from train.tasks.fitting import Rows, as_rows, bounds, class_names
from train.tasks.protocol import Batch, HostBatch, HostPrediction, Page, Prediction, Ratio, Totals
from train.tasks.scores import OfBoth, OfLabels, OfValues, distances, mean_over, mixed, ranked
from train.tasks.sphere.prototypes import prototypes_of
from zoo.hyperspheres.losses import TINY
from zoo.hyperspheres.spaces import ClassSpace, JointSpace, ValueSpace

SEEN = 500
"""Held-out examples whose places on the sphere are kept."""


class OnSphere:
    """What tasks on the sphere share: where some held-out examples lie is followed over the run."""

    seen: ClassVar[int] = SEEN

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """The outputs as unit vectors of half precision.

        Outputs grow as they please, past what half precision holds. One that has no direction lies in the centre.
        """
        points = predicted["embedding"].astype(np.float64)
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        directed = np.isfinite(lengths) & (lengths > TINY)
        unit = np.divide(points, lengths, out=np.zeros_like(points), where=directed)
        return {"embedding": unit.astype(np.float16)}


@dataclasses.dataclass(frozen=True)
class SphereClassification(OnSphere, OfLabels):
    """One label an example; the network's output should point to its class's prototype."""

    class_names: tuple[str, ...]
    prototypes: Rows
    """A unit vector a class."""

    @classmethod
    def fit(cls, settings: settings_of.SphereClassification, source: Source) -> Self:
        """See `Task`: the names of the classes, and their prototypes."""
        names = class_names(settings, source)
        return cls(names, as_rows(prototypes_of(settings, names, settings.dims)))

    def model_options(self) -> dict[str, Any]:
        """The dimensions that the prototypes have."""
        return {"num_classes": len(self.prototypes[0])}

    def objective(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Ratio:
        """Mean of (1 - cos)^2; mixed images share it between their two labels."""
        return mean_over(mixed(functools.partial(self._space.losses, _wide(outputs)), batch), batch)

    def totals(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Totals:
        """Sums of the loss, of right answers and of right answers among the best five."""
        outputs, space = _wide(outputs), self._space
        return ranked(space.scores(outputs), space.losses(outputs, batch["label"]), batch)

    def decode(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The cosine with each prototype, and the output itself."""
        return {"cosines": self._space.scores(_wide(outputs)), "embedding": _wide(outputs)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.classification.page import ClassPage
        from train.tasks.sphere.page import SpherePage

        return SpherePage(ClassPage(self.class_names, "cosines"), self.on_sphere(), self.class_names)

    def on_sphere(self) -> Float[np.ndarray, "classes dims"]:
        """What a picture marks: the prototypes."""
        return np.array(self.prototypes)

    @property
    def _space(self) -> ClassSpace:
        return ClassSpace(jnp.asarray(self.prototypes, jnp.float32))


@dataclasses.dataclass(frozen=True)
class SphereRegression(OnSphere, OfValues):
    """One value an example; the cosine of the output and the first axis says where between the bounds it is."""

    lower: float
    upper: float
    dims: int
    """Of the sphere's space."""
    unit: str = ""

    @classmethod
    def fit(cls, settings: settings_of.SphereRegression, source: Source) -> Self:
        """See `Task`: the bounds of the values."""
        return cls(*bounds(settings, source, settings.bounds), settings.dims, source.facts.unit)

    def model_options(self) -> dict[str, Any]:
        """The dimensions of the sphere's space."""
        return {"num_classes": self.dims}

    def objective(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Ratio:
        """Mean of (r - cos)^2, where r is the value on [-1, 1]."""
        return mean_over(self._space.losses(_wide(outputs), batch["target"]), batch)

    def totals(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Totals:
        """Sums of the loss, and of the absolute error in the target's units."""
        outputs, space = _wide(outputs), self._space
        return distances(space.value(outputs), space.losses(outputs, batch["target"]), batch)

    def decode(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The values in the target's units, and the output itself."""
        return {"value": self._space.value(_wide(outputs)), "embedding": _wide(outputs)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.regression.page import ValuePage
        from train.tasks.sphere.page import SpherePage

        poles = (f"{self.lower:g}", f"{self.upper:g}")
        return SpherePage(ValuePage(self.unit), self.on_sphere(), poles, self.unit, field="target")

    def on_sphere(self) -> Float[np.ndarray, "2 dims"]:
        """What a picture marks: the poles of the lower and of the upper bound."""
        return np.array([[-1.0], [1.0]]) * np.eye(1, self.dims)

    @property
    def _space(self) -> ValueSpace:
        return ValueSpace(self.dims, self.lower, self.upper)


@dataclasses.dataclass(frozen=True)
class SphereJoint(OnSphere, OfBoth):
    """A label and a value an example, in one space: the first axis is the value's, the classes share the others."""

    class_names: tuple[str, ...]
    prototypes: Rows
    """A unit vector a class, in the coordinates after the first."""
    lower: float
    upper: float
    unit: str = ""

    @classmethod
    def fit(cls, settings: settings_of.SphereJoint, source: Source) -> Self:
        """See `Task`: the names of the classes, their prototypes, and the bounds of the values."""
        names = class_names(settings, source)
        between = bounds(settings, source, settings.bounds)
        prototypes = prototypes_of(settings, names, settings.dims - 1 if settings.dims else 0)
        return cls(names, as_rows(prototypes), *between, source.facts.unit)

    def model_options(self) -> dict[str, Any]:
        """One dimension more than the prototypes have."""
        return {"num_classes": len(self.prototypes[0]) + 1}

    def objective(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Ratio:
        """The mean of both tasks' losses, which have one scale."""
        return mean_over(self._space.losses(_wide(outputs), batch["label"], batch["target"]), batch)

    def totals(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Totals:
        """The sums of both tasks; that of the loss is of their mean."""
        outputs, space = _wide(outputs), self._space
        losses = space.losses(outputs, batch["label"], batch["target"])
        return ranked(space.scores(outputs), losses, batch) | distances(space.values.value(outputs), losses, batch)

    def decode(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The cosine with each prototype, the value, and the output itself."""
        outputs, space = _wide(outputs), self._space
        return {"cosines": space.scores(outputs), "value": space.values.value(outputs), "embedding": outputs}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.joint.page import JointPage
        from train.tasks.sphere.page import SpherePage

        page = JointPage(self.class_names, self.unit, "cosines")
        return SpherePage(page, self.on_sphere(), self.class_names, self.unit)

    def on_sphere(self) -> Float[np.ndarray, "classes dims"]:
        """What a picture marks: the prototypes, where the value is halfway between the bounds."""
        return np.asarray(self._space.embedded)

    @property
    def _space(self) -> JointSpace:
        return JointSpace(jnp.asarray(self.prototypes, jnp.float32), self.lower, self.upper)


def _wide(outputs: Float[Array, "batch dims"]) -> Float[Array, "batch dims"]:
    """A cosine wants more digits than bfloat16 has."""
    return outputs.astype(jnp.float32)
