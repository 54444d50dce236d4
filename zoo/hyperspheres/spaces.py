"""Heads: what the outputs of any network mean on the sphere: a class, a value, or both at once. Lecture rows L80-L88.

Mettes, van der Pol and Snoek, 2019, Hyperspherical Prototype Networks, section 3. A head has no parameters: a network
with `dims` outputs becomes a classifier, a regressor or both by the loss that it is trained with.
"""

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from zoo.hyperspheres.losses import classification_loss, cosine, cosines, from_cosine, regression_loss


@flax.struct.dataclass
class ClassSpace:
    """Classes as fixed directions.

    >>> import jax
    >>> from zoo.hyperspheres import separate
    >>> space = ClassSpace(separate(jax.random.key(0), classes=4, dims=3))
    >>> space.dims, space.predict(7 * space.prototypes).tolist()
    (3, [0, 1, 2, 3])
    """

    prototypes: Float[Array, "classes dims"]
    """A unit vector a class."""

    @property
    def dims(self) -> int:
        """The outputs that a network needs: its `num_classes`."""
        return self.prototypes.shape[-1]

    def losses(self, outputs: Float[Array, "batch dims"], labels: Int[Array, "batch"]) -> Float[Array, "batch"]:
        """(1 - cos)^2 of each output and its class's prototype."""
        return classification_loss(outputs, self.prototypes, labels)

    def scores(self, outputs: Float[Array, "batch dims"]) -> Float[Array, "batch classes"]:
        """The cosine with each prototype."""
        return cosines(outputs, self.prototypes)

    def predict(self, outputs: Float[Array, "batch dims"]) -> Int[Array, "batch"]:
        """The class of the largest cosine."""
        return self.scores(outputs).argmax(-1)


@flax.struct.dataclass
class ValueSpace:
    """Numbers between two bounds as the cosine with the first axis, 1 at the upper bound.

    Raises:
      ValueError: fewer than two dimensions.

    >>> space = ValueSpace(3, lower=1000.0, upper=1932.0)
    >>> space.value(jnp.array([[2.0, 0.0, 0.0], [0.0, 5.0, 0.0]])).tolist()
    [1932.0, 1466.0]
    """

    dims: int = flax.struct.field(pytree_node=False)
    """The outputs that a network needs, two or more."""
    lower: float = flax.struct.field(pytree_node=False)
    upper: float = flax.struct.field(pytree_node=False)

    def __post_init__(self) -> None:
        if self.dims < 2:
            raise ValueError(f"dims: a sphere has at least 2, got {self.dims}")

    @property
    def pole(self) -> Float[Array, "dims"]:
        """The direction of the upper bound."""
        return jnp.eye(1, self.dims, dtype=jnp.float32)[0]

    def losses(self, outputs: Float[Array, "batch dims"], values: Float[Array, "batch"]) -> Float[Array, "batch"]:
        """(r - cos)^2, where r is the value on [-1, 1].

        Raises:
          ValueError: the bounds are not in order.
        """
        return regression_loss(outputs, self.pole, values, self.lower, self.upper)

    def value(self, outputs: Float[Array, "batch dims"]) -> Float[Array, "batch"]:
        """What the outputs predict."""
        return from_cosine(cosine(outputs, self.pole), self.lower, self.upper)


@flax.struct.dataclass
class JointSpace:
    """A class and a value in one space: the first axis is the value's, the classes' prototypes are orthogonal to it.

    >>> import jax
    >>> from zoo.hyperspheres import separate
    >>> space = JointSpace(separate(jax.random.key(0), classes=5, dims=2), lower=0.0, upper=180.0)
    >>> space.dims
    3
    """

    prototypes: Float[Array, "classes dims-1"]
    """A unit vector a class, in the coordinates after the first."""
    lower: float = flax.struct.field(pytree_node=False)
    upper: float = flax.struct.field(pytree_node=False)

    @property
    def dims(self) -> int:
        """The outputs that a network needs: its `num_classes`."""
        return self.prototypes.shape[-1] + 1

    @property
    def classes(self) -> ClassSpace:
        """Where the outputs are without their first coordinate."""
        return ClassSpace(self.prototypes)

    @property
    def values(self) -> ValueSpace:
        """Where the whole outputs are."""
        return ValueSpace(self.dims, self.lower, self.upper)

    @property
    def embedded(self) -> Float[Array, "classes dims"]:
        """The prototypes in the whole space, where the value is halfway between the bounds."""
        return jnp.pad(self.prototypes, ((0, 0), (1, 0)))

    def losses(
        self, outputs: Float[Array, "batch dims"], labels: Int[Array, "batch"], values: Float[Array, "batch"]
    ) -> Float[Array, "batch"]:
        """The mean of both losses: they have one scale, so that no weight is tuned.

        Raises:
          ValueError: the bounds are not in order.
        """
        return (self.classes.losses(outputs[:, 1:], labels) + self.values.losses(outputs, values)) / 2

    def scores(self, outputs: Float[Array, "batch dims"]) -> Float[Array, "batch classes"]:
        """The cosine with each prototype, of the outputs without their first coordinate."""
        return self.classes.scores(outputs[:, 1:])

    def predict(self, outputs: Float[Array, "batch dims"]) -> tuple[Int[Array, "batch"], Float[Array, "batch"]]:
        """The class and the value."""
        return self.classes.predict(outputs[:, 1:]), self.values.value(outputs)
