"""Inverted residual blocks: what is added, gated, dropped and fused. Whole networks are compared with torch's."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from tests.convnets.torch_names import drawn
from zoo.convnets.inverted_residual import Block, InvertedResiduals, parts
from zoo.convnets.squeeze_excite import SqueezeExcite, divisible
from zoo.nn import BatchNorm, Conv

CONV = functools.partial(Conv, use_bias=False)
IMAGES = np.random.default_rng(0).standard_normal((64, 4, 4, 8)).astype(np.float32)


def stage(*blocks):
    return InvertedResiduals(blocks, CONV, BatchNorm)


def without_branch(variables):
    """The last norm's scale and bias are zero, so that a branch gives nothing."""
    variables["params"]["block1"]["project"]["norm"] = jax.tree.map(
        np.zeros_like, variables["params"]["block1"]["project"]["norm"]
    )
    return variables


@pytest.mark.parametrize(
    ("block", "adds"),
    [
        (Block(8, expanded=16), True),
        (Block(8, expanded=8), True),
        (Block(8, expanded=16, fused=True), True),
        (Block(8, expanded=16, shortcut=False), False),
        (Block(8, expanded=16, strides=2), False),
        (Block(16, expanded=16), False),
    ],
)
def test_the_input_is_added_where_the_shape_stays(block, adds):
    module = stage(block)
    [out] = jax.jit(module.apply, static_argnums=2)(without_branch(drawn(module, IMAGES, False)), IMAGES, False)
    np.testing.assert_array_equal(out, IMAGES if adds else np.zeros_like(out))
    assert out.shape == (64, 4 // block.strides, 4 // block.strides, block.features)


def test_a_block_has_the_parts_it_needs_and_filters_each_channel_by_itself():
    full = Block(8, expanded=48, size=5, squeezed=2)
    fused, alone = (Block(8, expanded=expanded, fused=True) for expanded in (32, 8))
    for block, expected in {
        full: {
            "expand/conv": (1, 1, 8, 48),
            "depthwise/conv": (5, 5, 1, 48),
            "se/reduce": (1, 1, 48, 2),
            "se/expand": (1, 1, 2, 48),
            "project/conv": (1, 1, 48, 8),
        },
        fused: {"fused/conv": (3, 3, 8, 32), "project/conv": (1, 1, 32, 8)},
        alone: {"fused/conv": (3, 3, 8, 8)},
    }.items():
        module = stage(block)
        shapes = jax.eval_shape(lambda module=module: module.init(jax.random.key(0), IMAGES, False)["params"]["block1"])
        kernels = {path: leaf.shape for path, leaf in flatten_dict(shapes, sep="/").items() if path.endswith("kernel")}
        assert kernels == {f"{layer}/kernel": shape for layer, shape in expected.items()}
        assert set(shapes) == set(parts(block, channels=8))


def test_squeeze_and_excitation_gates_channels_by_their_means():
    gated = SqueezeExcite(2, CONV, nn.silu, nn.hard_sigmoid)
    variables = drawn(gated, IMAGES)
    reduce, expand = (variables["params"][name] for name in ("reduce", "expand"))
    hidden = IMAGES.mean((1, 2)) @ reduce["kernel"][0, 0] + reduce["bias"]
    hidden = hidden / (1 + np.exp(-hidden)) @ expand["kernel"][0, 0] + expand["bias"]
    gates = np.clip(hidden / 6 + 0.5, 0, 1)
    out = jax.jit(gated.apply)(variables, IMAGES)
    np.testing.assert_allclose(out, IMAGES * gates[:, None, None], rtol=1e-5, atol=1e-6)


def test_in_training_an_image_skips_the_branch_or_has_all_of_it_made_larger():
    module, plain = stage(Block(8, expanded=8, drop_path=0.25)), stage(Block(8, expanded=8))
    variables = drawn(module, IMAGES, False)

    @jax.jit
    def branches(key):
        [dropped], _ = module.apply(variables, IMAGES, True, mutable=["batch_stats"], rngs={"dropout": key})
        [whole], _ = plain.apply(variables, IMAGES, True, mutable=["batch_stats"])
        return dropped - IMAGES, whole - IMAGES, module.apply(variables, IMAGES, False)[0]

    dropped, whole, evaluated = branches(jax.random.key(0))
    skipped = np.asarray(jnp.all(dropped == 0, axis=(1, 2, 3)))
    assert 6 <= skipped.sum() <= 26  # of 64; both within 3 deviations of 16
    np.testing.assert_allclose(dropped[~skipped], whole[~skipped] / 0.75, rtol=1e-4, atol=1e-5)
    assert jnp.abs(evaluated - IMAGES).min(axis=(1, 2, 3)).max() > 0


def test_widths_are_rounded_as_the_papers_code_does():
    assert [divisible(0.75 * width) for width in (16, 24, 40, 112)] == [16, 24, 32, 88]
    assert [divisible(width) for width in (3, 83, 84)] == [8, 80, 88]
