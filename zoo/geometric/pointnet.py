"""PointNet: a class for a set of points, in whatever order and of whatever number they come.

Qi, Su, Mo and Guibas, 2017, PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation, section 4.2,
Figure 2 and appendix C. Lecture row L79.

Each point goes through the same small network, alone; then the largest value of each feature over all points is what
the set is known by. Before, two small networks of the same form (T-Nets) look at the set and give a matrix each: one
turns the points, the other their features.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from zoo.geometric.largest import largest
from zoo.nn import linear_uniform
from zoo.nn.checks import check_classes
from zoo.nn.network import ModuleMaker, Network

_xavier = nn.initializers.xavier_uniform()
"""As in the authors' program."""
LOCAL, GLOBAL, HIDDEN = (64, 64), (64, 128, 1024), (512, 256)
"""Features of a point before and after the feature transform, and of the set."""
T_NET = (64, 128, 1024)
"""Features of a point in the networks that give a matrix."""


class PointNet(Network):
    """The network for classification, 3.5 million parameters for 40 classes, of which 2.7 million give the matrices.

    What it says of a set does not depend on the order of its points, nor on points that are not valid.

    >>> import jax
    >>> points = jax.ShapeDtypeStruct((2, 100, 3), "float32")
    >>> jax.eval_shape(lambda points: PointNet(10).init_with_output(jax.random.key(0), points)[0], points).shape
    (2, 10)
    """

    num_classes: int = 40
    """Outputs; 0 gives the 256 features before the last layer instead of logits."""
    width: float = 1.0
    """How many times as many features as in the paper all layers have."""
    input_transform: bool = True
    """Whether the points are multiplied with a matrix that follows from them."""
    feature_transform: bool = True
    """Whether their features are."""
    dropout: float = 0.3
    """The share of the last features that training sets to zero; appendix C keeps 0.7."""

    @nn.compact
    def __call__(
        self,
        points: Float[Array, "batch points dims"],
        valid: Bool[Array, "batch points"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features.

        These are local (of each point), points (of each point, after the feature transform), global, pre_logits and
        logits, and `transform`, the matrix of the features. In training there are `logits` and `transform`, for
        `orthogonality`.

        Args:
          points: coordinates, about of size one.
          valid: which points are real; by default all. A set without any is known by zeros.
          train: whether statistics are the batch's, and features are dropped.
          features: see above.

        Raises:
          ValueError: shapes that do not fit.
          TypeError: coordinates that are integers, or `valid` is not of truth values.
        """
        _check(points, valid)
        check_classes(self.num_classes)
        layer, transform = self.rematerialised(PointLayer), self.rematerialised(TransformNet)
        shared, named = {"norm": self.norm_maker(), **self.types}, {}
        x = points if valid is None else jnp.where(valid[..., None], points, 0)  # what padding holds may be no number
        sizes, matrix = (self._sizes(T_NET), self._sizes(HIDDEN)), None
        if self.input_transform:
            x = x @ transform(*sizes, **shared, name="input_transform")(x, train, valid)
        for number, width in enumerate(self._sizes(LOCAL), 1):
            x = layer(width, **shared, name=f"local{number}")(x, train, valid)
        named["local"] = x
        if self.feature_transform:
            matrix = transform(*sizes, **shared, name="feature_transform")(x, train, valid)
            x = x @ matrix
        for number, width in enumerate(self._sizes(GLOBAL), 1):
            x = layer(width, **shared, name=f"global{number}")(x, train, valid)
        named["points"] = x
        named["global"] = x = of_the_set(x, valid)
        for number, width in enumerate(self._sizes(HIDDEN), 1):
            x = layer(width, **shared, name=f"hidden{number}")(x, train)
        named["pre_logits"] = x = x.astype(self.wide)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x) if self.dropout else x
            types = {"dtype": self.wide, "param_dtype": self.param_dtype}
            named["logits"] = x = nn.Dense(self.num_classes, kernel_init=linear_uniform, **types, name="head")(x)
        if matrix is None:
            return named if features else x
        found = {**named, "transform": matrix.astype(self.wide)}
        if features:
            return found
        return {"logits": x, "transform": found["transform"]} if train and self.num_classes else x

    def _sizes(self, paper: tuple[int, ...]) -> tuple[int, ...]:
        """So many features, and at least one."""
        return tuple(max(1, round(self.width * size)) for size in paper)


class PointLayer(nn.Module):
    """A dense layer of every point alone, batch normalisation over all valid points, ReLU. `dense` and `norm`."""

    width: int
    norm: ModuleMaker
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *points features"], train: bool, valid: Bool[Array, "batch points"] | None = None
    ) -> Float[Array, "batch *points width"]:
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = nn.Dense(self.width, kernel_init=_xavier, **types, name="dense")(x)
        return nn.relu(self.norm(name="norm")(x, not train, valid))


class TransformNet(nn.Module):
    """A T-Net: a matrix that follows from a set of points; before training the identity."""

    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    norm: ModuleMaker
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(
        self, points: Float[Array, "batch points dims"], train: bool, valid: Bool[Array, "batch points"] | None = None
    ) -> Float[Array, "batch dims dims"]:
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x, dims = points, points.shape[-1]
        for number, width in enumerate(self.widths, 1):
            x = PointLayer(width, self.norm, **types, name=f"points{number}")(x, train, valid)
        x = of_the_set(x, valid)
        for number, width in enumerate(self.hidden, 1):
            x = PointLayer(width, self.norm, **types, name=f"hidden{number}")(x, train)
        zero = nn.initializers.zeros
        entries = nn.Dense(dims * dims, kernel_init=zero, bias_init=_identity, **types, name="matrix")(x)
        return entries.reshape(-1, dims, dims)


def _identity(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    side = round(shape[0] ** 0.5)
    return jnp.eye(side, dtype=dtype).reshape(shape)


def of_the_set(
    x: Float[Array, "batch points features"], valid: Bool[Array, "batch points"] | None = None
) -> Float[Array, "batch features"]:
    """The largest value of each feature over the valid points; of a set without any zero.

    >>> of_the_set(jnp.array([[[1.0], [3.0]]]), jnp.array([[True, False]])).tolist()
    [[1.0]]
    """
    if valid is None:
        return largest(x, 1)
    best = largest(jnp.where(valid[..., None], x, -jnp.inf), 1)
    return jnp.where(valid.any(axis=1, keepdims=True), best, 0)


def orthogonality(transform: Float[Array, "batch dims dims"]) -> Float[Array, "batch"]:
    """How far each matrix is from turning alone: the sum of squares of I - A A^T, equation 2 of the paper.

    >>> orthogonality(2 * jnp.eye(3)[None]).tolist()
    [27.0]
    """
    gram = jnp.einsum("bij,bkj->bik", transform, transform)
    return jnp.square(jnp.eye(transform.shape[-1], dtype=gram.dtype) - gram).sum(axis=(1, 2))


def _check(points: Array, valid: Array | None) -> None:
    if points.ndim != 3 or not points.shape[1]:
        raise ValueError(f"PointNet expected points (batch, points, coordinates), got shape {points.shape}")
    if not jnp.issubdtype(points.dtype, jnp.floating):
        raise TypeError(f"PointNet expected floating-point coordinates, got {points.dtype}")
    if valid is not None and valid.shape != points.shape[:2]:
        raise ValueError(f"PointNet expected valid {points.shape[:2]} (batch, points), got shape {valid.shape}")
    if valid is not None and valid.dtype != bool:
        raise TypeError(f"PointNet expected valid of truth values, got {valid.dtype}")
