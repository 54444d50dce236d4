"""Residual units: the five places where normalisation and ReLU can stand, as a table, and stages of units.

He, Zhang, Ren and Sun, 2016, Identity Mappings in Deep Residual Networks, Figure 4; the first and last units
as in its appendix and in KaimingHe/resnet-1k-layers. Xie et al., 2017, Aggregated Residual Transformations for
Deep Neural Networks (groups); Hu et al., 2018, Squeeze-and-Excitation Networks. Lecture rows L40, L41, L43-L45.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.squeeze_excite import SqueezeExcite, divisible
from zoo.names import unknown
from zoo.nn.network import ModuleMaker


class Order(NamedTuple):
    """What stands before, between and after a branch's convolutions, and after the addition."""

    first: tuple[str, ...]
    between: tuple[str, ...]
    last: tuple[str, ...]
    after_addition: tuple[str, ...]


UNITS = {
    "original": Order((), ("norm", "relu"), ("norm",), ("relu",)),
    "bn_after_addition": Order((), ("norm", "relu"), (), ("norm", "relu")),
    "relu_before_addition": Order((), ("norm", "relu"), ("norm", "relu"), ()),
    "relu_only_preactivation": Order(("relu",), ("norm", "relu"), ("norm",), ()),
    "full_preactivation": Order(("norm", "relu"), ("norm", "relu"), (), ()),
}
"""Figure 4 of the paper, (a) to (e). L41 holds exactly for the units that do nothing after the addition."""

SHORTCUTS = ("A", "B", "conv3x3", "none")
"""How a unit's input reaches the addition where the shape changes; elsewhere it is the identity.

"A": every second pixel, and zeros for the new channels, half of them before and half after the old ones.
"B": a 1x1 convolution. "conv3x3": a 3x3 convolution. "none": no addition in any unit, a plain network.
"""


class ConvSpec(NamedTuple):
    """One convolution of a residual branch; padded so that stride 1 keeps the size."""

    features: int
    size: int
    strides: int = 1
    groups: int = 1
    dilation: int = 1


Branch = tuple[ConvSpec, ...]


def basic_branch(features: int, strides: int = 1) -> Branch:
    """Two 3x3 convolutions, the first with the stride."""
    return ConvSpec(features, 3, strides), ConvSpec(features, 3)


def bottleneck_branch(
    features: int, strides: int = 1, width: int | None = None, groups: int = 1, stride_first: bool = True
) -> Branch:
    """1x1 to `width` channels, by default a quarter of the features; 3x3 in groups; 1x1 to all the features.

    The stride is in the first convolution, as the paper has it, or in the 3x3 ("v1.5").
    """
    width = features // 4 if width is None else width
    first, second = (strides, 1) if stride_first else (1, strides)
    return ConvSpec(width, 1, first), ConvSpec(width, 3, second, groups), ConvSpec(features, 1)


def dilated(branch: Branch, dilation: int) -> Branch:
    """The branch on a grid so many times as dense."""
    return tuple(spec._replace(dilation=dilation * spec.dilation) for spec in branch)


def without_strides(branch: Branch) -> Branch:
    """The branch at full resolution: its output, at every stride-th pixel, is that of the branch with strides.

    >>> without_strides(basic_branch(8, strides=2))[1]
    ConvSpec(features=8, size=3, strides=1, groups=1, dilation=2)
    """
    dense, strides = [], 1
    for spec in branch:
        dense.append(spec._replace(strides=1, dilation=strides * spec.dilation))
        strides *= spec.strides
    return tuple(dense)


def check_unit(unit: str, shortcut: str) -> None:
    """Raises `UnknownNameError` with the nearest names unless both choices exist."""
    if unit not in UNITS:
        raise unknown("residual unit", unit, UNITS)
    if shortcut not in SHORTCUTS:
        raise unknown("shortcut", shortcut, SHORTCUTS)


def stem_order(unit: str) -> tuple[str, ...]:
    """What follows the stem's convolution: a pre-activation that the first unit brings is left to it."""
    return tuple(step for step in ("norm", "relu") if step not in UNITS[unit].first)


def final_order(unit: str) -> tuple[str, ...]:
    """What follows the last unit: the pre-activation that a next unit would have brought."""
    return UNITS[unit].first


class ConvNorm(nn.Module):
    """A convolution, then what `order` says of "norm" and "relu". Submodules `conv` and `norm`."""

    spec: ConvSpec
    order: tuple[str, ...]
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        x = convolve(self.conv, self.spec, "conv", x)
        return activate(self.order, x, lambda x: self.norm(name="norm")(x, not train))


def convolve(conv: ModuleMaker, spec: ConvSpec, name: str, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
    """Applies the convolution that `spec` describes, as the submodule `name` of the calling module."""
    return conv(
        spec.features,
        (spec.size, spec.size),
        strides=spec.strides,
        padding=spec.dilation * (spec.size - 1) // 2,
        feature_group_count=spec.groups,
        kernel_dilation=spec.dilation,
        name=name,
    )(x)


def activate(order: tuple[str, ...], x: Array, norm: Callable[[Array], Array]) -> Array:
    """Applies "norm" and "relu" in this order."""
    for step in order:
        x = norm(x) if step == "norm" else nn.relu(x)
    return x


class ResidualUnit(nn.Module):
    """x + F(x), normalised and activated where `unit` says.

    Submodules `conv1`, `conv2`, ..., `norm1`, `norm2`, ... in the order of computation, `se` and `shortcut`. The
    branch's output F(x) is sown as "residual" into the collection "intermediates".
    """

    branch: Branch
    """The convolutions of F."""
    conv: ModuleMaker
    """Makes a convolution: `zoo.nn.Conv` with types and initialiser set, without bias."""
    norm: ModuleMaker
    """Makes a normalisation that is called with (x, use_running_average)."""
    unit: str = "original"
    """A name of `UNITS`."""
    shortcut: str = "B"
    """A name of `SHORTCUTS`."""
    opens_network: bool = False
    """Whether this is the network's first unit, whose pre-activation serves both paths."""
    squeeze: int = 0
    """Gates the branch's output by `SqueezeExcite` with so many times fewer hidden channels; 0 does not."""
    dropout: float = 0.0
    """The share of activations dropped in training before each convolution but the first."""
    zero_init: bool = False
    """Whether the branch begins at zero: the scale of its last norm, or its last kernel where no norm follows."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        check_unit(self.unit, self.shortcut)
        order = UNITS[self.unit]
        norms = iter(range(1, len(self.branch) + 2))
        zeros = nn.initializers.zeros_init() if self.zero_init else None

        def activated(steps: tuple[str, ...], x: Array, **options: Any) -> Array:
            return activate(steps, x, lambda x: self.norm(name=f"norm{next(norms)}", **options)(x, not train))

        strides, features = math.prod(spec.strides for spec in self.branch), self.branch[-1].features
        reshapes = strides != 1 or features != x.shape[-1]
        residual = activated(order.first, x)
        if self.opens_network or reshapes:
            x = residual  # common to both paths, as in the authors' code
        for i, spec in enumerate(self.branch, start=1):
            if i > 1:
                residual = activated(order.between, residual)
                residual = nn.Dropout(self.dropout)(residual, deterministic=not train)
            ends = zeros and i == len(self.branch) and "norm" not in order.last
            conv = functools.partial(self.conv, kernel_init=zeros) if ends else self.conv
            residual = convolve(conv, spec, f"conv{i}", residual)
        residual = activated(order.last, residual, **({"scale_init": zeros} if zeros else {}))
        if self.squeeze:
            hidden = divisible(residual.shape[-1] / self.squeeze)
            residual = SqueezeExcite(hidden, self.conv, name="se")(residual)
        self.sow("intermediates", "residual", residual)
        if self.shortcut == "none":
            return activated(order.after_addition, residual)
        if reshapes:
            x = self._reshaped(x, features, strides, train)
        return activated(order.after_addition, x + residual)

    def _reshaped(self, x: Array, features: int, strides: int, train: bool) -> Array:
        if self.shortcut == "A":
            return zero_padded_shortcut(x, features, strides)
        size = 1 if self.shortcut == "B" else 3
        # A projection ends as its branch does: normalised, unless the branch leaves that to what follows.
        order = ("norm",) if "norm" in UNITS[self.unit].last else ()
        spec = ConvSpec(features, size, strides)
        return ConvNorm(spec, order, self.conv, self.norm, name="shortcut")(x, train)


def zero_padded_shortcut(x: Float[Array, "b h w c"], features: int, strides: int) -> Float[Array, "b h2 w2 features"]:
    """Option A: every `strides`-th pixel, and zeros for the new channels around the old ones.

    He et al., 2016, Deep Residual Learning, section 3.3, which leaves open where the zeros go.

    Raises:
      ValueError: there would be fewer channels than before.

    >>> zero_padded_shortcut(jnp.ones((1, 2, 2, 1)), features=3, strides=2)[0, 0, 0]
    Array([0., 1., 0.], dtype=float32)
    """
    new = features - x.shape[-1]
    if new < 0:
        raise ValueError(f"shortcut A cannot go from {x.shape[-1]} channels down to {features}; use B")
    x = x[:, ::strides, ::strides]
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))


class Stage(nn.Module):
    """Residual units at one resolution. Submodules `block1`, `block2`, ..."""

    branches: tuple[Branch, ...]
    """One branch a unit; the first may have a stride."""
    conv: ModuleMaker
    norm: ModuleMaker
    unit: str = "original"
    shortcut: str = "B"
    opens_network: bool = False
    """Whether this is the network's first stage."""
    squeeze: int = 0
    dropout: float = 0.0
    zero_init: bool = False
    remat: bool = False
    """Whether a unit's activations are computed again in the backward pass instead of being kept."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        unit_class = nn.remat(ResidualUnit, static_argnums=(2,)) if self.remat else ResidualUnit
        for i, branch in enumerate(self.branches, start=1):
            x = unit_class(
                branch,
                self.conv,
                self.norm,
                self.unit,
                self.shortcut,
                opens_network=self.opens_network and i == 1,
                squeeze=self.squeeze,
                dropout=self.dropout,
                zero_init=self.zero_init,
                name=f"block{i}",
            )(x, train)
        return x
