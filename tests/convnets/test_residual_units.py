"""The residual units against torch, and what the lecture says of them (L41, E11, E12)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets.goldens import numbers
from tests.convnets.torch_names import variables_of
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.convnets.residual_units import UNITS, Stage, basic_branch, zero_padded_shortcut
from zoo.nn import BatchNorm, Conv

GOLDENS = Path(__file__).parent / "goldens" / "five_units.npz"
SHAPE = (32, 32, 3)


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_gives_the_logits_of_an_independent_torch_network(unit):
    golden = np.load(GOLDENS)
    images = numbers.images(2).transpose(0, 2, 3, 1)
    for depth, options in ((14, {}), (20, {"bottleneck": True, "shortcut": "B"})):
        model = CifarResNet(depth=depth, unit=unit, **options)
        logits = jax.jit(model.apply)(variables_of(model), images)
        expected = golden[f"{unit}/{depth}"]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def _stage(unit, blocks=3):
    stage = Stage((basic_branch(4),) * blocks, _conv, BatchNorm, unit)
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))
    variables = stage.init(jax.random.key(1), x, False)
    return stage, variables, x


def _conv(*args, **options):
    return Conv(*args, use_bias=False, **options)


@pytest.mark.parametrize("unit", UNITS)
def test_output_is_input_plus_all_residuals_only_where_nothing_follows_the_addition(unit):
    stage, variables, x = _stage(unit)
    out, state = stage.apply(variables, x, False, mutable=["intermediates"])
    total = sum(block["residual"][0] for block in state["intermediates"].values())
    holds = not UNITS[unit].after_addition
    # E12: the slide shows the sum beside ResNet-34, whose units are the original ones.
    assert holds == (unit not in ("original", "bn_after_addition"))
    if holds:
        np.testing.assert_allclose(out, x + total, rtol=0, atol=1e-6)
    else:
        assert jnp.abs(out - (x + total)).max() > 0.1


def test_units_with_zero_residuals_make_the_deeper_network_equal_to_the_shallower_not_better():
    # E11: adding identity units leaves the training error *at most* what it was.
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    for unit in ("original", "full_preactivation"):
        shallow, deep = (CifarResNet(depth=depth, unit=unit) for depth in (8, 14))
        few = zoo.init(shallow, jax.random.key(1), (8, 8, 3))
        many = zoo.init(deep, jax.random.key(2), (8, 8, 3))
        zeros = jax.tree.map(jnp.zeros_like, many["params"])
        params = {**few["params"]}
        for stage in ("stage1", "stage2", "stage3"):
            block = {**many["params"][stage]["block2"]}
            for last in ("conv2", "norm2"):
                block[last] = zeros[stage]["block2"][last]
            params[stage] = {**params[stage], "block2": block}
        same = deep.apply({"params": params, "batch_stats": many["batch_stats"]}, images)
        np.testing.assert_allclose(same, shallow.apply(few, images), rtol=0, atol=1e-6)


def test_shortcut_a_takes_every_second_pixel_and_puts_zeros_around_the_channels():
    x = np.arange(2 * 4 * 4 * 2, dtype=np.float32).reshape(2, 4, 4, 2)
    out = np.asarray(zero_padded_shortcut(x, 4, 2))
    np.testing.assert_array_equal(out[..., 1:3], x[:, ::2, ::2])
    assert not out[..., [0, 3]].any()
    with pytest.raises(ValueError, match="from 2 channels down to 1"):
        zero_padded_shortcut(x, 1, 2)


def test_unknown_unit_and_shortcut_name_the_nearest():
    with pytest.raises(zoo.UnknownNameError, match="nearest: full_preactivation"):
        zoo.init(CifarResNet(depth=8, unit="full_preactivaton"), jax.random.key(0), SHAPE)
    with pytest.raises(zoo.UnknownNameError, match="nearest: conv3x3"):
        zoo.init(CifarResNet(depth=8, shortcut="conv3"), jax.random.key(0), SHAPE)
