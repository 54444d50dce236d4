"""Rendered surfaces: depth, normals, reflectance, shading and image agree with each other and with other formulas."""

import sys

import numpy as np
import pytest
from scipy import ndimage, optimize

from train.data import Kind
from train.data.augment import geometry
from train.data.augment.moves import At
from train.data.fields import NO_FACTS
from train.data.source import generator
from train.data.sources.surfaces import (
    AMBIENT,
    FOCAL,
    GAMMA,
    LIGHT,
    SIDE,
    SPEC,
    Rays,
    Wave,
    ball,
    floor,
    nearest,
    rays,
    scene,
    surfaces,
    wall,
)
from zoo.dense.normals import angles, pinhole_normals

COUNT = 8
MODULE = sys.modules["train.data.sources.surfaces"]  # beside a function of that name


@pytest.fixture(scope="module")
def scenes():
    """The first test scenes, and the number of the surface of each pixel."""
    pairs = [scene(generator(11, 1, 1 + number)) for number in range(COUNT)]
    return {name: np.stack([pair[0][name] for pair in pairs]) for name in SPEC}, np.stack([pair[1] for pair in pairs])


def inside(front):
    """Pixels whose four neighbours, and those beyond, show the same surface."""
    square = np.ones((1, 5, 5))
    return ndimage.minimum_filter(front, footprint=square) == ndimage.maximum_filter(front, footprint=square)


def test_normals_are_those_of_the_depth_where_surfaces_are_smooth(scenes):
    arrays, front = scenes
    off = np.asarray(angles(pinhole_normals(arrays["depth"][..., 0], FOCAL), arrays["normals"]))
    where = inside(front)
    assert off[where & (front == 0)].max() < 0.01  # planes: to the rounding of float32
    assert np.median(off[where & (front == 1)]) < 0.3
    assert np.median(off[where & (front > 1)]) < 1  # a ball bends from one pixel to the next
    np.testing.assert_allclose(np.linalg.norm(arrays["normals"], axis=-1), 1, rtol=1e-6)


def test_every_surface_faces_the_viewer(scenes):
    arrays, _ = scenes
    towards = rays().at(np.ones((SIDE, SIDE)))
    assert np.sum(arrays["normals"] * towards, axis=-1).max() < 1e-6


def test_image_is_reflectance_times_shading_to_rounding(scenes):
    arrays, _ = scenes
    seen = 255 * (arrays["reflectance"] * arrays["shading"]) ** (1 / GAMMA)
    assert np.abs(arrays["image"] - seen).max() <= 0.501
    assert arrays["reflectance"].min() > 0.1
    assert arrays["reflectance"].max() < 0.95
    cosine = arrays["normals"] @ np.array(LIGHT, np.float32)
    np.testing.assert_allclose(arrays["shading"][..., 0], AMBIENT + (1 - AMBIENT) * cosine.clip(0), rtol=1e-5)


def test_a_ray_meets_a_ball_where_a_search_finds_it():
    centre, radius = np.array([0.3, -0.2, 3.0]), 0.5
    ray = np.array([0.12, -0.03, 1.0])
    seen = ball(Rays(ray[:1, None], ray[1:2, None]), centre, radius)
    surface = lambda depth: np.linalg.norm(depth * ray - centre) - radius  # noqa: E731
    assert seen.depth[0, 0] == pytest.approx(optimize.brentq(surface, 1, 3), rel=1e-9)
    np.testing.assert_allclose(np.linalg.norm(seen.normals), 1)
    assert np.isinf(ball(Rays(np.array([[0.9]]), np.array([[0.0]])), centre, radius).depth[0, 0])


def test_a_wall_stands_where_its_plane_is_and_a_relief_has_the_normals_of_its_derivatives():
    across = np.array([np.tan(np.deg2rad(20)), 0, -1])
    points = rays().at(wall(rays(), 4.0, 20.0).depth)
    np.testing.assert_allclose(points @ across, -4.0)
    relief = (Wave(0.02, 9.0, 4.0, 0.3), Wave(0.03, -3.0, 8.0, 1.0))
    at, step = Rays(np.array([[0.2]]), np.array([[-0.1]])), 1e-6

    def point(x, y):
        beside = Rays(at.right + x, at.down + y)
        return beside.at(wall(beside, 4.0, 20.0, relief).depth)[0, 0]

    right, down = point(step, 0) - point(-step, 0), point(0, step) - point(0, -step)
    expected = np.cross(down, right)
    np.testing.assert_allclose(
        wall(at, 4.0, 20.0, relief).normals[0, 0], expected / np.linalg.norm(expected), atol=1e-6
    )


def test_the_nearest_surface_is_seen():
    seen, front = nearest([floor(rays()), wall(rays(), 4.0, 0.0), ball(rays(), np.array([0.0, 0.7, 2.5]), 0.5)])
    assert (front[0, 0], front[-1, 0], front[48, 32]) == (1, 0, 2)
    assert seen.depth[-1, 0] == pytest.approx(1.2 / (31.5 / FOCAL))
    assert np.all(seen.depth <= 4.0)


def test_mirrored_and_shifted_normals_are_those_of_the_depth_that_moved_alike(scenes):
    arrays, front = scenes
    spec = {name: SPEC[name] for name in ("depth", "normals")}
    batch = {name: arrays[name][:2] for name in spec}
    at = At(SIDE, SIDE, NO_FACTS)
    mirrored = geometry.move("flip", batch, geometry.Mirror(np.array([True, True])), spec, at)
    off = np.asarray(angles(pinhole_normals(mirrored["depth"][..., 0], FOCAL), mirrored["normals"]))
    where = inside(front[:2, :, ::-1])
    assert np.median(off[where]) < 0.3
    unturned = np.asarray(angles(pinhole_normals(mirrored["depth"][..., 0], FOCAL), batch["normals"][:, :, ::-1]))
    assert unturned[where].mean() > 5  # what a rule that forgot the vectors would give
    shift = geometry.Shift(np.array([7, 2]), np.array([1, 4]), 4)
    moved = geometry.move("pad_crop", batch, shift, spec, at)
    centre = (SIDE / 2 + 4 - 1, SIDE / 2 + 4 - 7)  # of the first: the axis moved with the image
    found = np.asarray(pinhole_normals(moved["depth"][0, ..., 0], FOCAL, centre))
    off = np.asarray(angles(found, np.asarray(moved["normals"][0])))
    known = np.isfinite(off)
    assert known.mean() == pytest.approx(((SIDE - 4) * (SIDE - 5) / SIDE**2), abs=0.02)  # nan came in from outside
    assert np.median(off[known]) < 0.3


def test_constant_predictions_are_far_off(scenes):
    arrays, _ = scenes
    depth, normals = arrays["depth"].astype(np.float64), arrays["normals"].astype(np.float64)
    constants = np.linspace(1, 9, 81)
    assert min(np.mean(np.abs(depth - constant) / depth) for constant in constants) > 0.25  # no constant is better
    mean = normals.mean(axis=(0, 1, 2))
    degrees = np.degrees(np.arccos(np.clip(normals @ (mean / np.linalg.norm(mean)), -1, 1)))
    assert degrees.mean() > 35


def test_scenes_are_always_the_same_whatever_their_number_and_nobody_can_change_them(scenes, monkeypatch):
    monkeypatch.setattr(MODULE, "COUNTS", {"test": 3})
    monkeypatch.setattr(MODULE, "_rendered", MODULE._rendered.__wrapped__)
    source = surfaces("test")
    assert (len(source), source.facts.unit, source.spec["normals"].kind) == (3, "m", Kind.NORMALS)
    for name, array in source.arrays().items():
        np.testing.assert_array_equal(array, scenes[0][name][:3])
        assert array.dtype == SPEC[name].dtype
    with pytest.raises(ValueError, match="read-only"):
        source.arrays()["depth"][0] = 0
    other, _ = scene(generator(11, 0, 1))
    assert np.abs(other["depth"] - scenes[0]["depth"][0]).max() > 0.1  # those of training are others
