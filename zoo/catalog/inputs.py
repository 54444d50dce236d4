"""What a model takes: an `Input` for each argument, given in full or by its shape alone.

A row of the catalog holds them, and all that traces a model without data (`zoo.init`, summaries, benchmarks, FLOPs,
exports) reads them from there or takes them from a caller, who may say a shape instead.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


@dataclasses.dataclass(frozen=True)
class Input:
    """One argument of a model, of one example."""

    name: str
    """Of the argument: "images", "tokens", "boxes"."""
    shape: tuple[int, ...]
    """Without the batch axis; () where an example has one number."""
    dtype: str = "float32"
    kind: str = "image"
    """What the values are, in a word: "image" (height, width, channels), "clip" (time, height, width, channels),
    "tokens", "boxes", "nodes", "adjacency", "vector". A free word, which benchmarks and tables read."""

    @property
    def is_integer(self) -> bool:
        """Whether the values are counted: tokens, classes, flags."""
        return not jnp.issubdtype(self.dtype, jnp.floating)

    @property
    def places(self) -> tuple[int, ...]:
        """The axes that a feature map may keep at another resolution: all but channels, which integers do not have.

        >>> Input("clips", (16, 112, 112, 3), kind="clip").places
        (16, 112, 112)
        """
        return self.shape if self.is_integer else self.shape[:-1]

    def __str__(self) -> str:
        """In words: "images 32 x 32 x 3", with the type where it is not float32."""
        shape = " x ".join(map(str, self.shape)) or "one number"
        return f"{self.name} {shape}" + (f" {self.dtype}" if self.dtype != "float32" else "")


Example = tuple[int, ...] | jax.ShapeDtypeStruct | Input
"""An input of one example, without the batch axis: a shape, which is of float32; a shape and type; or an `Input`."""


def as_inputs(*given: Example | Sequence[Example]) -> tuple[Input, ...]:
    """Each as an `Input`; a single argument may be a sequence of them.

    Raises:
      ValueError: none, or an input with an axis that is not positive.

    >>> as_inputs((32, 32, 3))[0].shape
    (32, 32, 3)
    >>> [each.dtype for each in as_inputs((8, 8, 3), jax.ShapeDtypeStruct((5,), jnp.int32))]
    ['float32', 'int32']
    """
    if len(given) == 1 and isinstance(given[0], tuple | list) and _is_several(given[0]):
        given = tuple(given[0])
    if not given:
        raise ValueError("expected the shape of one example, without the batch axis, for each input of the model")
    names = ["input_shape"] if len(given) == 1 else [f"input {i}" for i in range(1, len(given) + 1)]
    return tuple(_as_input(name, one) for name, one in zip(names, given, strict=True))


def batch_of(inputs: Sequence[Input], batch: int = 1) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shapes and types of a batch of the inputs.

    >>> batch_of([Input("images", (32, 32, 3))], 8)[0].shape
    (8, 32, 32, 3)
    """
    return tuple(jax.ShapeDtypeStruct((batch, *one.shape), one.dtype) for one in inputs)


def random_batch(inputs: Sequence[Input], batch: int, random: np.random.Generator) -> tuple[Array, ...]:
    """A batch of noise: normal numbers, and of integers zeros and ones, which every vocabulary has."""

    def drawn(one: Input) -> Array:
        shape = (batch, *one.shape)
        return jnp.asarray(random.integers(0, 2, shape) if one.is_integer else random.standard_normal(shape), one.dtype)

    return tuple(map(drawn, inputs))


def _is_several(given: Sequence) -> bool:
    """Whether this is a sequence of examples, not the shape of one."""
    return len(given) > 0 and not isinstance(given[0], int | np.integer)


def _as_input(name: str, given: Example) -> Input:
    if isinstance(given, Input):
        one = given
    elif isinstance(given, jax.ShapeDtypeStruct):
        one = Input(name, tuple(given.shape), np.dtype(given.dtype).name)
    else:
        one = Input(name, tuple(given))
        if not given:
            raise ValueError(f"{name}: expected positive sizes of one example, got {given}")
    if any(size < 1 for size in one.shape):
        raise ValueError(f"{one.name}: expected positive sizes of one example, got {one.shape}")
    return one
