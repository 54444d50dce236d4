"""Tasks on the hypersphere: classes, a value, or both, as directions of the output. Lecture rows L80-L88.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks. The slides add up the loss over the batch,
here it is its mean, as of every task: a learning rate r and weight decay w of theirs are r n and w / n here, with n
examples in a batch.
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from train.tasks.protocol import Batch, OfImages, Prediction, Sums, mean_of
from train.tasks.regression import distances
from train.tasks.scores import mixed, ranked, summary
from zoo.hyperspheres.spaces import ClassSpace, JointSpace, ValueSpace

Rows = tuple[tuple[float, ...], ...]
"""Prototypes as plain values, which can be compared, hashed and written down."""


def as_rows(prototypes: Float[np.ndarray, "classes dims"]) -> Rows:
    """Prototypes as plain values."""
    return tuple(tuple(map(float, row)) for row in np.asarray(prototypes))


@dataclasses.dataclass(frozen=True)
class SphereClassification(OfImages):
    """One label an example; the network's output should point to its class's prototype."""

    class_names: tuple[str, ...]
    prototypes: Rows
    """A unit vector a class."""
    best: str = "accuracy"
    higher_is_better: bool = True

    @property
    def num_outputs(self) -> int:
        """The dimensions that the prototypes have."""
        return len(self.prototypes[0])

    def loss(self, outputs: Float[Array, "batch dims"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean of (1 - cos)^2; mixed images share it between their two labels."""
        return jnp.mean(mixed(functools.partial(self._space.losses, _wide(outputs)), batch)), {}

    def metrics(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Sums:
        """Sums of the loss, of right answers and of right answers among the best five."""
        outputs, space = _wide(outputs), self._space
        return ranked(space.scores(outputs), space.losses(outputs, batch["label"]), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy and, of more than ten classes, top-5 accuracy, each of these in [0, 1]."""
        return summary(sums)

    def predict(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The cosine with each prototype, and the output itself."""
        return {"cosines": self._space.scores(_wide(outputs)), "embedding": _wide(outputs)}

    def on_sphere(self) -> Float[np.ndarray, "classes dims"]:
        """What a picture marks: the prototypes."""
        return np.array(self.prototypes)

    @property
    def _space(self) -> ClassSpace:
        return ClassSpace(jnp.asarray(self.prototypes, jnp.float32))


@dataclasses.dataclass(frozen=True)
class SphereRegression(OfImages):
    """One value an example; the cosine of the output and the first axis says where between the bounds it is."""

    lower: float
    upper: float
    num_outputs: int
    """Dimensions of the sphere's space."""
    unit: str = ""
    best: str = "mae"
    higher_is_better: bool = False

    def loss(self, outputs: Float[Array, "batch dims"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """Mean of (r - cos)^2, where r is the value on [-1, 1]."""
        return jnp.mean(self._space.losses(_wide(outputs), batch["target"])), {}

    def metrics(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Sums:
        """Sums of the loss, and of the absolute error in the target's units."""
        outputs, space = _wide(outputs), self._space
        return distances(space.value(outputs), space.losses(outputs, batch["target"]), batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, and mean absolute error in the target's units."""
        return {"loss": mean_of(sums, "loss"), "mae": mean_of(sums, "absolute")}

    def predict(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The values in the target's units, and the output itself."""
        return {"value": self._space.value(_wide(outputs)), "embedding": _wide(outputs)}

    def on_sphere(self) -> Float[np.ndarray, "2 dims"]:
        """What a picture marks: the poles of the lower and of the upper bound."""
        return np.array([[-1.0], [1.0]]) * np.eye(1, self.num_outputs)

    @property
    def _space(self) -> ValueSpace:
        return ValueSpace(self.num_outputs, self.lower, self.upper)


@dataclasses.dataclass(frozen=True)
class SphereJoint(OfImages):
    """A label and a value an example, in one space: the first axis is the value's, the classes share the others."""

    class_names: tuple[str, ...]
    prototypes: Rows
    """A unit vector a class, in the coordinates after the first."""
    lower: float
    upper: float
    unit: str = ""
    best: str = "accuracy"
    higher_is_better: bool = True

    @property
    def num_outputs(self) -> int:
        """One more than the prototypes' dimensions."""
        return len(self.prototypes[0]) + 1

    def loss(self, outputs: Float[Array, "batch dims"], batch: Batch) -> tuple[Float[Array, ""], Sums]:
        """The mean of both tasks' losses, which have one scale."""
        return jnp.mean(self._space.losses(_wide(outputs), batch["label"], batch["target"])), {}

    def metrics(self, outputs: Float[Array, "batch dims"], batch: Batch) -> Sums:
        """The sums of both tasks; that of the loss is of their mean."""
        outputs, space = _wide(outputs), self._space
        losses = space.losses(outputs, batch["label"], batch["target"])
        return ranked(space.scores(outputs), losses, batch) | distances(space.values.value(outputs), losses, batch)

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        """Mean loss, accuracy, and mean absolute error in the target's units."""
        return {**summary(sums), "mae": mean_of(sums, "absolute")}

    def predict(self, outputs: Float[Array, "batch dims"]) -> Prediction:
        """The cosine with each prototype, the value, and the output itself."""
        outputs, space = _wide(outputs), self._space
        return {"cosines": space.scores(outputs), "value": space.values.value(outputs), "embedding": outputs}

    def on_sphere(self) -> Float[np.ndarray, "classes dims"]:
        """What a picture marks: the prototypes, where the value is halfway between the bounds."""
        return np.asarray(self._space.embedded)

    @property
    def _space(self) -> JointSpace:
        return JointSpace(jnp.asarray(self.prototypes, jnp.float32), self.lower, self.upper)


def _wide(outputs: Float[Array, "batch dims"]) -> Float[Array, "batch dims"]:
    """A cosine wants more digits than bfloat16 has."""
    return outputs.astype(jnp.float32)
