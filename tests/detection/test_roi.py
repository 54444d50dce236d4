"""RoIPool and RoIAlign: torchvision's kernels and gradients, detectron2's and the lecture's grids, differences."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.detection.goldens import inputs
from zoo.detection import fpn_levels, roi_align, roi_align_levels, roi_pool, roi_pool_levels

GOLDEN = np.load(Path(__file__).parent / "goldens" / "operations.npz")

LECTURE = np.array(
    [
        [0.1, 0.3, 0.2, 0.3, 0.2, 0.6, 0.8, 0.9],
        [0.4, 0.5, 0.1, 0.4, 0.7, 0.1, 0.4, 0.3],
        [0.2, 0.1, 0.3, 0.8, 0.6, 0.2, 0.1, 0.1],
        [0.4, 0.6, 0.2, 0.1, 0.3, 0.6, 0.1, 0.2],
        [0.1, 0.8, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3],
        [0.2, 0.9, 0.4, 0.5, 0.1, 0.1, 0.1, 0.2],
        [0.3, 0.1, 0.8, 0.6, 0.3, 0.3, 0.6, 0.5],
        [0.5, 0.5, 0.2, 0.1, 0.1, 0.2, 0.1, 0.2],
    ],
    np.float32,
).reshape(1, 8, 8, 1)
"""The grid of the slides on RoI pooling and aligning."""
SCALES = [1 / 4, 1 / 8, 1 / 16, 1 / 32]


def operation(name):
    function = roi_pool if name.startswith("pool") else roi_align
    return lambda features, boxes: function(features, boxes, spatial_scale=inputs.SCALE, **inputs.GRIDS[name])


def of_lecture(function, box, *arguments, **options):
    found = jax.jit(lambda grid, boxes: function(grid, boxes, *arguments, **options))(LECTURE, np.float32([[box]]))
    return np.asarray(found)[0, 0, ..., 0]


@pytest.mark.parametrize("name", inputs.GRIDS)
def test_equals_torchvisions_kernel_and_its_gradient(name):
    features, boxes = inputs.region_map(), inputs.regions()

    @jax.jit
    def both(features, slopes):
        out, back = jax.vjp(lambda features: operation(name)(features, boxes), features)
        return out, back(slopes.reshape(out.shape))[0]

    out, gradient = both(features, inputs.slopes(name, GOLDEN[f"{name}/out"].shape))
    np.testing.assert_allclose(out.reshape(GOLDEN[f"{name}/out"].shape), GOLDEN[f"{name}/out"], atol=2e-6)
    np.testing.assert_allclose(gradient, GOLDEN[f"{name}/gradient"], atol=2e-5)


def test_levels_equal_torchvisions_multi_scale_roi_align_and_its_gradient():
    maps, boxes = inputs.pyramid(), inputs.pyramid_boxes()

    @jax.jit
    def both(maps, slopes):
        out, back = jax.vjp(lambda maps: roi_align_levels(maps, boxes, 7, SCALES), maps)
        return out, back(slopes.reshape(out.shape))[0]

    out, gradient = both(maps, inputs.slopes("levels", GOLDEN["levels/out"].shape))
    np.testing.assert_allclose(out.reshape(GOLDEN["levels/out"].shape), GOLDEN["levels/out"], atol=1e-5)
    found = np.concatenate([np.ravel(each) for each in gradient])[::7]
    np.testing.assert_allclose(found, GOLDEN["levels/gradient"], atol=1e-5)
    assert len(np.unique(fpn_levels(boxes, SCALES))) == 4


def test_levels_of_roi_pool_equal_the_pooling_of_each_level_and_its_gradient():
    """`roi_pool` equals torchvision's kernel, see above; `fpn_levels` says which level is whose."""
    maps, boxes = inputs.pyramid(), inputs.pyramid_boxes()
    level = fpn_levels(boxes, SCALES)

    def one_by_one(maps):
        each = jnp.stack([roi_pool(x, boxes, 3, scale) for x, scale in zip(maps, SCALES, strict=True)])
        return jnp.take_along_axis(each, level[None, ..., None, None, None], axis=0)[0]

    def at_once(maps):
        return roi_pool_levels(maps, boxes, 3, SCALES)

    @jax.jit
    def both(maps, slopes):
        return [(out, back(slopes)[0]) for out, back in (jax.vjp(pool, maps) for pool in (at_once, one_by_one))]

    found, expected = both(maps, inputs.slopes("pool", (*boxes.shape[:2], 3, 3, maps[0].shape[-1])))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), found, expected)
    assert all(np.any(gradient) for gradient in found[1])


def test_what_surrounds_an_image_is_pooled_into_no_region():
    """A map of less than zero, on a canvas of zeros, and boxes that end with the image."""
    random = np.random.default_rng(0)
    whole = [-1 - random.random((1, *places, 3)).astype(np.float32) for places in ((12, 14), (6, 7))]
    canvas = [np.pad(x, ((0, 0), (0, 4), (0, 6), (0, 0))) for x in whole]
    boxes = np.array([[[0, 0, 56, 48], [30, 20, 56, 48], [40, 40, 56, 48]]], np.float32)
    options = {"output_size": 3, "spatial_scales": [1 / 4, 1 / 8], "canonical_size": 40, "canonical_level": 3}

    @jax.jit
    def pooled(maps, sizes):
        return roi_pool_levels(maps, boxes, sizes=sizes, **options)

    alone = pooled(whole, None)
    np.testing.assert_array_equal(pooled(canvas, np.array([[48.0, 56.0]])), alone)
    assert (np.asarray(pooled(canvas, None)) != alone).any()


def test_aligned_and_legacy_samples_of_the_five_by_five_map_are_detectron2s():
    features, boxes = np.arange(25.0, dtype=np.float32).reshape(1, 5, 5, 1), np.array([[[1.0, 1.0, 3.0, 3.0]]])
    columns = np.arange(4) / 2
    for aligned, rows in ((False, [7.5, 10, 12.5, 15]), (True, [4.5, 7, 9.5, 12])):
        found = jax.jit(roi_align, static_argnums=(2, 3, 4, 5))(features, boxes, 4, 1.0, 2, aligned)[0, 0, ..., 0]
        np.testing.assert_allclose(found, np.array(rows)[:, None] + columns, atol=1e-6)


def test_grid_of_the_lecture():
    whole, part = (0, 0, 7, 7), (1.3, 0.8, 6.6, 5.9)
    np.testing.assert_allclose(of_lecture(roi_pool, whole, 2, 1.0), [[0.8, 0.9], [0.9, 0.6]])
    np.testing.assert_allclose(of_lecture(roi_pool, part, 2, 1.0), [[0.8, 0.7], [0.9, 0.6]])
    for box, aligned, expected in (
        (whole, True, [[0.25, 0.419922], [0.403906, 0.339453]]),
        (whole, False, [[0.365625, 0.358594], [0.472656, 0.335156]]),
        (part, True, [[0.363926, 0.395023], [0.44491, 0.270656]]),
        (part, False, [[0.338496, 0.29352], [0.400797, 0.263887]]),
    ):
        np.testing.assert_allclose(of_lecture(roi_align, box, 2, 1.0, 2, aligned), expected, atol=1e-6)


def test_roi_align_of_the_whole_grid_returns_the_grid():
    found = of_lecture(roi_align, (0, 0, 8, 8), 8, 1.0, sampling_ratio=1, aligned=True)
    np.testing.assert_array_equal(found, LECTURE[0, ..., 0])


def test_gradients_are_finite_differences_in_float64():
    with jax.enable_x64():
        features, boxes = inputs.region_map().astype(np.float64), inputs.regions()[:, 4:12].astype(np.float64)
        features += np.random.default_rng(0).normal(size=features.shape)  # no ties
        for name in ("align", "legacy", "pool"):
            function = jax.jit(lambda features, name=name: operation(name)(features, boxes))
            check_grads(function, (features,), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_boxes_take_no_gradient_and_what_is_no_box_harms_nothing():
    features = inputs.region_map()
    odd = np.array([[np.nan] * 4, [np.inf, 0, 0, 0], [-np.inf, -np.inf, np.inf, np.inf], [0.0] * 4, [1e30] * 4] * 2)
    odd = odd.reshape(2, 5, 4).astype(np.float32)
    for function in (
        operation("align"),
        operation("legacy"),
        operation("pool"),
        lambda f, b: roi_align_levels([f, f[:, ::2, ::2]], b, 2, [1 / 4, 1 / 8]),
    ):
        total = jax.jit(jax.value_and_grad(lambda f, b, function=function: function(f, b).sum(), argnums=(0, 1)))
        value, (of_features, of_boxes) = total(features, odd)
        assert np.isfinite(value)
        assert np.isfinite(of_features).all()
        assert not np.asarray(of_boxes).any()
        assert function(features, odd[:, :0]).shape[:2] == (2, 0)


def test_vmap_and_narrow_types_give_the_same():
    features, boxes = inputs.region_map(), inputs.regions()
    for name in ("align", "pool"):
        function, one = operation(name), jax.vmap(lambda f, b, name=name: operation(name)(f[None], b[None])[0])
        expected = jax.jit(function)(features, boxes)
        np.testing.assert_allclose(jax.jit(one)(features, boxes), expected, atol=1e-6)
        narrow = jax.jit(function)(jnp.asarray(features, jnp.bfloat16), boxes)
        assert narrow.dtype == jnp.bfloat16
        np.testing.assert_allclose(narrow.astype(jnp.float32), expected, atol=0.03)


def test_wrong_input_is_refused():
    features, boxes = np.zeros((2, 4, 4, 3)), np.zeros((2, 5, 4))
    with pytest.raises(ValueError, match="sampling_ratio=0"):
        roi_align(features, boxes, 7, 0.25, sampling_ratio=0)
    with pytest.raises(ValueError, match="expected bins, got an output of 0 x 3"):
        roi_pool(features, boxes, (0, 3), 0.25)
    with pytest.raises(ValueError, match=r"boxes \(batch, n, 4\), got .* and \(5, 4\)"):
        roi_pool(features, boxes[0], 7, 0.25)
    with pytest.raises(ValueError, match="expected a scale for each level, got 1 for 2"):
        roi_align_levels([features, features], boxes, 7, [0.25])
    with pytest.raises(ValueError, match="expected a scale for each level, got 1 for 2"):
        roi_pool_levels([features, features], boxes, 7, [0.25])
