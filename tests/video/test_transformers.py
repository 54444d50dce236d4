"""Transformers for clips: stages, other sizes, and how far a place is seen. `test_parity.py` has their numbers."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.video.clips import drawn, noise
from zoo.convnets.swin import Layers, RelativePositions, SwinBlock
from zoo.convnets.vision_transformer import MLP
from zoo.nn.attention import SelfAttention
from zoo.video import MViT
from zoo.video.pooling_attention import distances


@pytest.mark.slow  # three networks to trace
@pytest.mark.parametrize(
    ("name", "frames", "strides"),
    [("mvit_v2_s", 16, (4, 8, 16, 32)), ("swin3d_t", 16, (4, 8, 16, 32))],
)
def test_stages_halve_height_and_width_alone(name, frames, strides):
    maps = zoo.feature_info(name, (frames, 224, 224, 3))
    assert {maps[f"stage{i}"].stride for i in range(1, 5)} == {(2, step, step) for step in strides}


def test_the_second_version_takes_clips_of_other_sizes_and_the_first_says_which():
    small, large = (jnp.zeros((1, *size, 3)) for size in ((4, 32, 32), (6, 48, 64)))
    options = {"depths": (1, 1), "width": 8, "key_stride": 2, "num_classes": 3}
    for version in (1, 2):
        model = MViT(version=version, **options)
        variables = jax.eval_shape(model.init, jax.random.key(0), small)
        if version == 2:
            assert jax.eval_shape(model.apply, variables, large).shape == (1, 3)
            continue
        with pytest.raises(ValueError, match="MViT has 64 spatial_positions, got 192 places: give clips of the size"):
            jax.eval_shape(model.apply, variables, large)
    with pytest.raises(ValueError, match="expected version 1 or 2 of MViT, got 3"):
        jax.eval_shape(MViT(version=3).init, jax.random.key(0), small)


@pytest.mark.parametrize(("queries", "keys"), [(4, 4), (8, 2), (2, 8), (3, 1)])
def test_rows_of_positions_are_as_far_apart_as_the_places_are(queries, keys):
    found, most = distances(queries, keys), max(queries, keys)
    of_query, of_key = most / queries, most / keys
    assert found.min() >= 0
    assert found.max() <= 2 * most - 2
    for query, key in np.ndindex(queries, keys):
        apart = query * of_query - key * of_key  # on the finer of both grids
        assert found[query, key] == int(apart + (keys - 1) * of_key)


def test_what_a_place_changes_stays_in_its_window_of_frames_rows_and_columns():
    positions = functools.partial(RelativePositions, (2, 2, 2), jnp.float32)
    layers = Layers(nn.LayerNorm, nn.Dense, SelfAttention, positions, MLP)
    x = noise(1, 5, 4, 4, 8)
    variables = drawn(SwinBlock(2, (2, 2, 2), (0, 0, 0), layers), x, False)

    @functools.partial(jax.jit, static_argnums=0)
    def changed(shift, place):
        block = SwinBlock(2, (2, 2, 2), (shift,) * 3, layers)
        other = jnp.asarray(x).at[0, *place].multiply(-1)
        return jnp.abs(block.apply(variables, other, False) - block.apply(variables, x, False)).max((0, 4)) > 1e-5

    def box(*ranges):
        sides = (np.isin(np.arange(size), each) for size, each in zip((5, 4, 4), ranges, strict=True))
        return functools.reduce(np.logical_and.outer, sides)

    for shift, place, *ranges in (
        (0, (0, 0, 0), (0, 1), (0, 1), (0, 1)),
        (0, (4, 3, 0), (4,), (2, 3), (0, 1)),  # the rest of this window is padding
        (1, (0, 0, 0), (0,), (0,), (0,)),  # the shift brought the other corners here
        (1, (2, 1, 3), (1, 2), (1, 2), (3,)),
    ):
        np.testing.assert_array_equal(changed(shift, jnp.array(place)), box(*ranges), err_msg=f"{shift} {place}")
