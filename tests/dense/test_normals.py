"""Normals: exact of planes, near those of a sphere and of real rooms; angles by scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.shared import shared
from zoo.dense.normals import (
    angle_scores,
    angle_sums,
    angles,
    cosine_loss,
    orthographic_normals,
    pinhole_normals,
    unit,
)

random = np.random.default_rng(0)


def test_normals_of_a_plane_are_exact():
    normal = np.array([0.3, -0.5, -1.0]) / np.sqrt(1.34)
    focal, centre = 20.0, (3.2, 5.1)
    x, y = np.arange(8) + 0.5 - centre[0], (np.arange(6) + 0.5 - centre[1])[:, None]
    rays = np.stack(np.broadcast_arrays(x / focal, y / focal, 1.0), axis=-1)
    depth = normal @ [0, 0, 4.0] / (rays @ normal)  # through the point 4 metres away
    with jax.enable_x64(True):
        found = pinhole_normals(jnp.asarray(depth), focal, centre)
        np.testing.assert_allclose(found, np.broadcast_to(normal, (6, 8, 3)), atol=1e-12)
        slope = orthographic_normals(jnp.asarray(0.25 * 2 * x - 0.5 * 2 * y), spacing=2.0)
        steep = np.array([0.25, -0.5, -1.0])
        np.testing.assert_allclose(slope, np.broadcast_to(steep / np.linalg.norm(steep), (6, 8, 3)), atol=1e-12)


def test_normals_of_a_sphere_point_away_from_its_centre():
    focal, centre, radius = 80.0, np.array([0.1, -0.2, 5.0]), 1.5
    places = (np.arange(64) + 0.5 - 32) / focal
    rays = np.stack(np.broadcast_arrays(places, places[:, None], 1.0), axis=-1)
    towards, squared = rays @ centre, (rays**2).sum(axis=-1)
    root = towards**2 - squared * (centre @ centre - radius**2)
    depth = np.where(root > 0, (towards - np.sqrt(np.maximum(root, 0))) / squared, np.nan)
    found = np.asarray(pinhole_normals(jnp.asarray(depth, jnp.float32), focal))
    expected = (rays * depth[..., None] - centre) / radius
    inside = expected[..., 2] < -0.8  # not at the rim, where the surface falls away within a pixel
    assert inside.sum() > 500
    assert np.asarray(angles(found, np.nan_to_num(expected)))[inside].max() < 1
    assert np.isnan(found[np.isnan(depth)]).all()


@pytest.mark.parametrize("strange", [np.nan, np.inf, 0.0, -1.0])
def test_depth_that_nobody_knows_takes_its_neighbours_with_it(strange):
    found = pinhole_normals(jnp.full((5, 5), 2.0).at[2, 2].set(strange), 10.0)
    unknown = np.zeros((5, 5), bool)
    unknown[[1, 2, 2, 2, 3], [2, 1, 2, 3, 2]] = True
    np.testing.assert_array_equal(np.isnan(found).any(axis=-1), unknown)


def test_angles_are_those_of_the_rotation_between_two_directions():
    turns = Rotation.from_rotvec(random.normal(size=(50, 3)))
    one = unit(random.normal(size=(50, 3)))
    axis = unit(np.cross(one, random.normal(size=(50, 3))))
    degrees = np.linspace(0, 180, 50)
    other = Rotation.from_rotvec(np.radians(degrees)[:, None] * axis).apply(one)
    np.testing.assert_allclose(angles(one, 2 * other), degrees, atol=2e-3)
    np.testing.assert_allclose(angles(turns.apply(one), turns.apply(other)), degrees, atol=2e-3)
    np.testing.assert_allclose(angles(one, Rotation.from_rotvec(1e-4 * axis).apply(one)), np.degrees(1e-4), rtol=1e-2)


def test_unknown_normals_count_nowhere():
    true = np.array(unit(random.normal(size=(2, 3, 4, 3))), np.float32)
    predicted = np.array(unit(random.normal(size=(2, 3, 4, 3))), np.float32)
    true[0, 0] = np.nan
    counted = np.ones((2, 3, 4), bool)
    counted[1, 2] = False
    known = counted & ~np.isnan(true).any(axis=-1)
    (total, weight), gradient = jax.value_and_grad(lambda x: cosine_loss(x, true, counted), has_aux=True)(predicted)
    assert weight == known.sum()
    assert total == pytest.approx((1 - (predicted * true).sum(axis=-1)[known]).sum(), rel=1e-5)
    assert not gradient[~known].any()
    scores = angle_scores(jax.device_get(angle_sums(predicted, true, counted)))
    degrees = np.degrees(np.arccos((predicted * true).sum(axis=-1)[known].clip(-1, 1)))
    assert scores["angle"] == pytest.approx(degrees.mean(), rel=1e-4)
    for name, most in (("under11", 11.25), ("under22", 22.5), ("under30", 30)):
        assert scores[name] == pytest.approx((degrees < most).mean())
    assert np.isnan(list(angle_scores(angle_sums(predicted[:1, :1], true[:1, :1])).values())).all()


def test_zero_has_no_direction_and_passes_its_gradient():
    assert not np.any(unit(jnp.zeros(3)))
    np.testing.assert_array_equal(jax.jacobian(unit)(jnp.zeros(3)), np.eye(3))


def test_unknown_depth_has_no_gradient_and_gives_its_neighbours_none():
    depth = (3 + random.random((5, 6))).astype(np.float32)
    depth[2, 3] = np.nan
    gradient = jax.jit(jax.grad(lambda depth: jnp.nansum(pinhole_normals(depth, 10.0))))(depth)
    assert np.isfinite(gradient).all()
    assert gradient[2, 3] == 0
    assert np.any(gradient)


@pytest.mark.parametrize("length", [1e-25, 1.0, 1e25])
def test_directions_have_length_one_however_long_they_are(length):
    vectors = random.normal(size=(5, 3)).astype(np.float32)
    expected = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    np.testing.assert_allclose(unit(np.float32(length) * vectors), expected, rtol=1e-5)


def test_gradients_of_angles_are_those_of_differences_and_finite_where_there_is_none():
    wall = jnp.array([0.0, 0.0, -1.0])
    gradient = jax.jit(jax.vmap(jax.value_and_grad(lambda x: angles(x, wall))))
    degrees, slopes = gradient(jnp.stack([wall, 2 * wall, -wall, 0 * wall]))
    np.testing.assert_allclose(degrees, [0, 0, 180, 90])  # zero is no better than what is across
    assert not slopes.any()
    with jax.enable_x64(True):
        place = random.normal(size=3)
        steps = 1e-6 * np.concatenate([np.eye(3), -np.eye(3)])
        degrees, slopes = gradient(place + np.concatenate([steps, np.zeros((1, 3))]))
        np.testing.assert_allclose(slopes[6], (degrees[:3] - degrees[3:6]) / 2e-6, rtol=1e-5)


def test_too_few_pixels_and_impossible_cameras_are_refused():
    with pytest.raises(ValueError, match=r"expected depths of at least 2 x 2 pixels, got shape \(1, 5\)"):
        pinhole_normals(jnp.ones((1, 5)), 1.0)
    with pytest.raises(ValueError, match="expected a focal length of more than 0 pixels, got 0"):
        pinhole_normals(jnp.ones((4, 5)), 0)
    with pytest.raises(ValueError, match="expected a spacing of more than 0 metres, got -1"):
        orthographic_normals(jnp.ones((4, 5)), -1)


def test_normals_of_a_real_room_face_the_viewer():
    """7-Scenes: 16-bit millimetres, of which 0 and 65535 are unknown, from a camera of 585 pixels."""
    file = shared("data", "rgbd", "frame-000000.depth.png")
    millimetres = np.asarray(Image.open(file), np.float32)
    depth = np.where((millimetres > 0) & (millimetres < 65535), millimetres / 1000, np.nan)
    found = np.asarray(pinhole_normals(jnp.asarray(depth), 585.0, (320.0, 240.0)))
    known = ~np.isnan(found).any(axis=-1)
    assert known.mean() > 0.5
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-5)
    rays = np.stack(np.broadcast_arrays(np.arange(640) - 319.5, (np.arange(480) - 239.5)[:, None], 585.0), axis=-1)
    assert ((found * rays).sum(axis=-1)[known] < 0).mean() > 0.99
