"""The residual unit of ResNeXt in its three equivalent forms, and its parameters from each to the others.

Xie, Girshick, Dollár, Tu and He, 2017, Aggregated Residual Transformations for Deep Neural Networks, Figure 3:
(a) many small branches, summed; (b) the branches concatenated before one last 1x1 convolution; (c) one branch
with a grouped convolution, which networks here are built of. Lecture rows L44, L45 (E13: ResNeXt, not ResNext).
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, PyTree

from zoo.convnets.residual_units import ConvNorm, ConvSpec, ResidualUnit, bottleneck_branch
from zoo.names import unknown
from zoo.nn.network import ModuleMaker

FORMS = ("branches", "concatenation", "groups")
"""Figure 3 of the paper, (a) to (c)."""

_CUT_AXES: Mapping[str, Mapping[str, int]] = {
    "branches": {"conv1": -1, "norm1": -1, "conv2": -1, "norm2": -1, "conv3": -2},
    "concatenation": {"conv1": -1, "norm1": -1, "conv2": -1, "norm2": -1},
    "groups": {},
}
"""Along which axis the arrays of each layer of the unit with groups are cut into the branches' own."""


def resnext_unit(
    form: str,
    features: int,
    cardinality: int,
    group_width: int,
    conv: ModuleMaker,
    norm: ModuleMaker,
    strides: int = 1,
) -> nn.Module:
    """A unit in one of the `FORMS`, to be called with (x, train).

    Args:
      form: a name of `FORMS`.
      features: channels of the output.
      cardinality: branches, or groups, the paper's C.
      group_width: channels inside each branch, the paper's d.
      conv: makes a convolution: `zoo.nn.Conv` without bias.
      norm: makes a normalisation that is called with (x, use_running_average).
      strides: of the 3x3 convolutions.

    Raises:
      UnknownNameError: there is no such form.
    """
    _check_form(form)
    if form == "groups":
        branch = bottleneck_branch(features, strides, cardinality * group_width, cardinality, stride_first=False)
        return ResidualUnit(branch, conv, norm)
    return BranchedUnit(features, cardinality, group_width, conv, norm, strides, form == "concatenation")


class BranchedUnit(nn.Module):
    """Forms (a) and (b). Submodules `branch1`, `branch2`, ..., `norm3`, `shortcut`, and in form (b) `conv3`."""

    features: int
    cardinality: int
    group_width: int
    conv: ModuleMaker
    norm: ModuleMaker
    strides: int = 1
    concatenates: bool = False
    """Whether one 1x1 convolution follows the concatenated branches, instead of one in each and the sum."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 features"]:
        last = None if self.concatenates else self.features
        branches = [
            Branch(self.group_width, last, self.conv, self.norm, self.strides, name=f"branch{i}")(x, train)
            for i in range(1, self.cardinality + 1)
        ]
        if self.concatenates:
            residual = self.conv(self.features, (1, 1), name="conv3")(jnp.concatenate(branches, axis=-1))
        else:
            residual = sum(branches)
        residual = self.norm(name="norm3")(residual, not train)  # of the sum: no branch has one of its own
        if self.strides != 1 or self.features != x.shape[-1]:
            spec = ConvSpec(self.features, 1, self.strides)
            x = ConvNorm(spec, ("norm",), self.conv, self.norm, name="shortcut")(x, train)
        return nn.relu(x + residual)


class Branch(nn.Module):
    """1x1 to `width` channels and 3x3, each with norm and ReLU; then 1x1 to `features`, if any.

    Submodules `conv1`, `norm1`, `conv2`, `norm2` and `conv3`.
    """

    width: int
    features: int | None
    conv: ModuleMaker
    norm: ModuleMaker
    strides: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 d"]:
        x = self.conv(self.width, (1, 1), name="conv1")(x)
        x = nn.relu(self.norm(name="norm1")(x, not train))
        x = self.conv(self.width, (3, 3), strides=self.strides, padding=1, name="conv2")(x)
        x = nn.relu(self.norm(name="norm2")(x, not train))
        return x if self.features is None else self.conv(self.features, (1, 1), name="conv3")(x)


def split_groups(variables: PyTree[Array], form: str, cardinality: int) -> PyTree[Array]:
    """The variables of a unit with groups as those of the same unit in another form.

    Args:
      variables: of a unit of form "groups", such as a block of a ResNeXt: `{"params": ..., "batch_stats": ...}`.
      form: a name of `FORMS`.
      cardinality: branches, or groups.

    Raises:
      UnknownNameError: there is no such form.
    """
    _check_form(form)
    found = {}
    for (collection, layer, *rest), array in flatten_dict(variables).items():
        if layer in _CUT_AXES[form]:
            parts = jnp.split(array, cardinality, _CUT_AXES[form][layer])
            found |= {(collection, f"branch{i}", layer, *rest): part for i, part in enumerate(parts, start=1)}
        else:
            found[collection, layer, *rest] = array
    return unflatten_dict(found)


def join_groups(variables: PyTree[Array], form: str, cardinality: int) -> PyTree[Array]:
    """The inverse of `split_groups`: the variables of a unit of this form as those of the unit with groups.

    Raises:
      UnknownNameError: there is no such form.
    """
    _check_form(form)
    arrays, found = flatten_dict(variables), {}
    for (collection, layer, *rest), array in arrays.items():
        if layer == "branch1":
            parts = [arrays[collection, f"branch{i}", *rest] for i in range(1, cardinality + 1)]
            found[collection, *rest] = jnp.concatenate(parts, _CUT_AXES[form][rest[0]])
        elif not layer.startswith("branch"):
            found[collection, layer, *rest] = array
    return unflatten_dict(found)


def _check_form(form: str) -> None:
    if form not in FORMS:
        raise unknown("form of a ResNeXt unit", form, FORMS)
