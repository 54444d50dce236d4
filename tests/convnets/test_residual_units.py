"""The residual units against torch, and what the lecture says of them (L41, E11, E12)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets.goldens import numbers
from tests.convnets.torch_names import drawn, variables_of
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.convnets.residual_units import UNITS, Stage, basic_branch, zero_padded_shortcut
from zoo.nn import BatchNorm, Conv

GOLDENS = Path(__file__).parent / "goldens" / "five_units.npz"


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_gives_the_logits_of_an_independent_torch_network(unit):
    golden = np.load(GOLDENS)
    images = numbers.images(2).transpose(0, 2, 3, 1)
    for depth, options in ((14, {}), (20, {"bottleneck": True, "shortcut": "B"})):
        model = CifarResNet(depth=depth, unit=unit, **options)
        logits = jax.jit(model.apply)(variables_of(model), images)
        expected = golden[f"{unit}/{depth}"]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def _conv(*args, **options):
    return Conv(*args, use_bias=False, **options)


def _stage(unit, blocks):
    stage = Stage((basic_branch(4),) * blocks, _conv, BatchNorm, unit)
    x = np.random.default_rng(1).standard_normal((2, 6, 6, 4)).astype(np.float32)
    return stage, drawn(stage, x, False), x


@pytest.mark.parametrize("unit", UNITS)
def test_output_is_input_plus_all_residuals_only_where_nothing_follows_the_addition(unit):
    stage, variables, x = _stage(unit, blocks=3)
    apply = jax.jit(lambda variables, x: stage.apply(variables, x, False, mutable=["intermediates"]))
    out, state = apply(variables, x)
    total = sum(block["residual"][0] for block in state["intermediates"].values())
    holds = not UNITS[unit].after_addition
    # E12: the slide shows the sum beside ResNet-34, whose units are the original ones.
    assert holds == (unit not in ("original", "bn_after_addition"))
    difference = jnp.abs(out - (x + total)).max()
    scale = jnp.abs(total).max()
    assert difference < 1e-6 * scale if holds else difference > 0.1


def test_a_unit_with_zero_residual_is_the_identity_so_a_deeper_network_can_equal_but_need_not_beat():
    # E11: the training error that adding identity units assures is *at most* the old one, not a lower one.
    for unit, last in (("original", "norm2"), ("full_preactivation", "conv2")):
        stage, variables, x = _stage(unit, blocks=1)
        x = np.maximum(x, 0) if unit == "original" else x  # what comes from an original unit is not negative
        block = variables["params"]["block1"]
        block[last] = jax.tree.map(np.zeros_like, block[last])
        np.testing.assert_array_equal(jax.jit(stage.apply, static_argnums=2)(variables, x, False), x)


def test_shortcut_a_takes_every_second_pixel_and_puts_zeros_around_the_channels():
    x = np.arange(2 * 4 * 4 * 2, dtype=np.float32).reshape(2, 4, 4, 2)
    out = np.asarray(zero_padded_shortcut(x, 4, 2))
    np.testing.assert_array_equal(out[..., 1:3], x[:, ::2, ::2])
    assert not out[..., [0, 3]].any()
    with pytest.raises(ValueError, match="from 2 channels down to 1"):
        zero_padded_shortcut(x, 1, 2)


def test_unknown_unit_and_shortcut_name_the_nearest():
    images = jnp.zeros((1, 32, 32, 3))
    with pytest.raises(zoo.UnknownNameError, match="nearest: full_preactivation"):
        CifarResNet(depth=8, unit="full_preactivaton").init(jax.random.key(0), images)
    with pytest.raises(zoo.UnknownNameError, match="nearest: conv3x3"):
        CifarResNet(depth=8, shortcut="conv3").init(jax.random.key(0), images)
