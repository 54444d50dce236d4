"""The three forms of ResNeXt's unit compute the same (L44)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from tests.convnets.goldens import numbers
from zoo.convnets.resnext import FORMS, join_groups, resnext_unit, split_groups
from zoo.nn import BatchNorm, Conv

CONV = functools.partial(Conv, use_bias=False)


class Called:
    """A unit whose `train` is no argument of `init`, as the shared functions of the tests have it."""

    def __init__(self, unit):
        self.unit = unit

    def init(self, key, x):
        return self.unit.init(key, x, False)


def weights(unit, channels):
    return sum(
        math.prod(leaf.shape)
        for path, leaf in families.shapes(Called(unit), (8, 8, channels)).items()
        if path.endswith("kernel")
    )


def test_32_branches_of_width_4_have_about_as_many_weights_as_a_bottleneck_of_width_64():
    # L44, and section 3.4 of the paper: C (256 d + 9 d d + 256 d)
    for form in FORMS:
        assert weights(resnext_unit(form, 256, 32, 4, CONV, BatchNorm), 256) == 32 * (2 * 256 * 4 + 9 * 16) == 70_144
    assert weights(resnext_unit("groups", 256, 1, 64, CONV, BatchNorm), 256) == 2 * 256 * 64 + 9 * 64 * 64 == 69_632


@pytest.mark.parametrize(("channels", "strides"), [(8, 1), (6, 2)], ids=["identity", "projection"])
def test_all_three_forms_compute_the_same_with_the_same_parameters(channels, strides):
    units = {form: resnext_unit(form, 8, 4, 3, CONV, BatchNorm, strides) for form in FORMS}
    x = np.random.default_rng(0).standard_normal((2, 6, 6, channels)).astype(np.float32)
    random = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: units["groups"].init(jax.random.key(0), x, False))
    grouped = jax.tree.map(lambda leaf: random.uniform(0.5, 1.5, leaf.shape).astype(np.float32), shapes)
    grouped["params"] = jax.tree.map(lambda leaf: leaf - (leaf.ndim > 1), grouped["params"])
    variables = {form: split_groups(grouped, form, 4) for form in FORMS}
    for form, unit in units.items():
        expected = jax.eval_shape(lambda unit=unit: unit.init(jax.random.key(0), x, False))
        assert jax.tree.map(jnp.shape, variables[form]) == jax.tree.map(jnp.shape, expected)
        back = join_groups(variables[form], form, 4)
        assert jax.tree.structure(back) == jax.tree.structure(grouped)
        jax.tree.map(np.testing.assert_array_equal, back, grouped)

    @jax.jit
    def outputs(variables):
        return {
            form: (unit.apply(variables[form], x, False), unit.apply(variables[form], x, True, mutable=["batch_stats"]))
            for form, unit in units.items()
        }

    found = outputs(variables)
    for form in FORMS:
        found[form] = found[form][0], found[form][1][0], join_groups(found[form][1][1], form, 4)
        for ours, expected in zip(*map(jax.tree.leaves, (found[form], found["branches"])), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert np.abs(found["groups"][0]).max() > 1


def test_a_block_of_a_network_has_the_other_forms_too():
    model = zoo.create("resnet_tiny", bottleneck=True, cardinality=2, group_width=4)
    images = numbers.images(1).transpose(0, 2, 3, 1)
    variables = families.he_normal(model, images.shape[1:])

    @jax.jit
    def stages(variables):
        named = model.apply(variables, images, features=True)
        block = {name: collection["stage2"]["block1"] for name, collection in variables.items()}
        unit = resnext_unit("branches", 32, 2, 8, CONV, BatchNorm, strides=2)
        return named["stage2"], unit.apply(split_groups(block, "branches", 2), named["stage1"], False)

    expected, ours = stages(variables)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_an_unknown_form_names_the_nearest():
    with pytest.raises(zoo.UnknownNameError, match="no form of a ResNeXt unit 'group'; nearest: groups"):
        resnext_unit("group", 8, 2, 2, CONV, BatchNorm)
    with pytest.raises(zoo.UnknownNameError, match="nearest: branches"):
        split_groups({}, "branch", 2)
