"""TV-L1 and Horn-Schunck: scikit-image's numbers, the minimum of an equation, and flow that is known."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import correlate, gaussian_filter, median_filter, shift
from skimage.color import rgb2gray
from skimage.registration import optical_flow_tvl1
from skimage.transform import pyramid_reduce

from tests.shared import shared
from zoo.dense import horn_schunck, tv_l1
from zoo.dense.flow_pyramid import _reduced, enlarged_flow, gradient, grey
from zoo.dense.horn_schunck import around
from zoo.dense.tv_l1 import median

pytestmark = pytest.mark.usefixtures("optimised")  # programs that compute for long
RANDOM = np.random.default_rng(0)


def texture(height, width):
    """A smooth picture from 0 to 1."""
    noise = gaussian_filter(RANDOM.normal(size=(height, width)), 2)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def shifted(x, y, height=36, width=44, beyond=10):
    """A picture, and what it is after it moved by so much."""
    large = texture(height + 2 * beyond, width + 2 * beyond)
    inner = (slice(beyond, -beyond), slice(beyond, -beyond))
    return large[inner], shift(large, (y, x), order=3)[inner].astype(np.float32)


SHIFTS = ((1.5, -1.0), (-2.25, 2.0))
PAIRS = [np.stack(each)[..., None] for each in zip(*(shifted(*each) for each in SHIFTS), strict=True)]
"""First and second images of two motions, in a batch."""


@pytest.fixture(scope="module")
def flows(optimised):
    """The flow of the pairs, and of the first with itself, by TV-L1."""
    first, second = PAIRS
    return np.asarray(tv_l1(np.concatenate([first, first[:1]]), np.concatenate([second, first[:1]])))


def error(flow, x, y):
    """Mean end-point error away from the border, where nobody knows what came in."""
    return np.hypot(flow[4:-4, 4:-4, 0] - x, flow[4:-4, 4:-4, 1] - y).mean()


def by_skimage(first, second, **options):
    rows, columns = optical_flow_tvl1(first, second, **options)
    return np.stack([columns, rows], axis=-1)


def test_tv_l1_is_that_of_scikit_image(flows):
    for flow, first, second, (x, y) in zip(flows, *PAIRS, SHIFTS, strict=False):
        expected = by_skimage(first[..., 0], second[..., 0], tol=0)
        np.testing.assert_allclose(flow, expected, atol=5e-3)
        assert np.abs(flow - expected).mean() < 1e-4
        assert error(flow, x, y) < 0.1


def test_equal_images_have_no_flow_at_all(flows):
    assert not np.any(flows[2])


def test_pyramid_and_filter_are_those_of_scikit_image_scipy_and_numpy():
    for size in ((20, 33), (17, 18), (1, 5)):
        image = RANDOM.random(size).astype(np.float32)
        np.testing.assert_allclose(_reduced(image[None])[0], pyramid_reduce(image), atol=1e-6)
    slopes = gradient(image := RANDOM.random((2, 5, 7)).astype(np.float32))
    np.testing.assert_allclose(slopes[:, 1], np.gradient(image, axis=1), atol=1e-6)
    np.testing.assert_allclose(slopes[:, 0], np.gradient(image, axis=2), atol=1e-6)
    flow = RANDOM.normal(size=(1, 2, 6, 8)).astype(np.float32)
    np.testing.assert_array_equal(median(flow)[0], median_filter(flow[0], (1, 3, 3)))
    colours = RANDOM.integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
    np.testing.assert_allclose(grey(colours)[0], rgb2gray(colours[0]), atol=1e-6)
    larger = enlarged_flow(flow, (11, 16))
    assert larger.shape == (1, 2, 11, 16)
    np.testing.assert_array_equal(larger[0, :, 0, 0], flow[0, :, 0, 0] * np.float32([2, 11 / 6]))


def test_horn_schunck_solves_the_equations_of_the_paper():
    """With one warp from no flow: those of its section 9, as one linear system."""
    first, second = (image[:12, :14] for image in shifted(0.6, -0.3))
    alpha, count = 0.3, first.size
    found = horn_schunck(first[None, ..., None], second[None, ..., None], alpha, num_warp=1, num_iter=3000, levels=1)
    of_first, of_second = (np.stack(np.gradient(image)[::-1]) for image in (first, second))
    x, y = ((of_first + of_second) / 2).reshape(2, -1).astype(np.float64)
    time = (second - first).ravel()
    mean = np.asarray(around(np.eye(count, dtype=np.float32).reshape(count, 1, *first.shape))).reshape(count, count).T
    smooth = alpha**2 * (np.eye(count) - mean)
    system = np.block([[smooth + np.diag(x * x), np.diag(x * y)], [np.diag(x * y), smooth + np.diag(y * y)]])
    expected = np.linalg.solve(system, -np.concatenate([x * time, y * time])).reshape(2, *first.shape)
    assert np.abs(expected).max() > 0.2
    np.testing.assert_allclose(np.moveaxis(np.asarray(found[0]), -1, 0), expected, atol=2e-3)


def test_mean_of_neighbours_is_that_of_the_paper():
    flow = RANDOM.normal(size=(1, 2, 6, 8)).astype(np.float32)
    weights = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    expected = [correlate(plane, weights, mode="nearest") for plane in flow[0]]
    np.testing.assert_allclose(around(flow)[0], expected, atol=1e-6)


@pytest.mark.slow  # gradients of loops in loops are compiled for several seconds
@pytest.mark.parametrize("method", [tv_l1, horn_schunck])
def test_gradient_is_that_of_finite_differences(method):
    first, second = (image[None, :9, :10, None].astype(np.float64) for image in shifted(0.4, 0.3))
    with jax.enable_x64(True):
        weights, direction = RANDOM.normal(size=(1, 9, 10, 2)), RANDOM.normal(size=second.shape)

        @jax.jit
        def total(second):
            return jnp.sum(weights * method(first, second, num_warp=2, num_iter=3, levels=1))

        slope = np.vdot(jax.jit(jax.grad(total))(second), direction)
        before, after = (total(second + step * direction) for step in (-1e-6, 1e-6))
        assert slope == pytest.approx(float(after - before) / 2e-6, rel=1e-4)
        assert np.all(np.isfinite(jax.jit(jax.grad(total))(first)))  # of equal images, whose flow has no slope


def test_horn_schunck_finds_shifts_and_no_flow_between_equal_images():
    first, second = PAIRS
    found = np.asarray(horn_schunck(np.concatenate([first, first[:1]]), np.concatenate([second, first[:1]]), 0.2))
    for flow, (x, y) in zip(found, SHIFTS, strict=False):
        assert error(flow, x, y) < 0.3
    assert not np.any(found[2])


def test_what_does_not_fit_is_refused():
    image = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(ValueError, match=r"two images of one size, got \(1, 4, 4, 1\) and \(1, 4, 3, 1\)"):
        tv_l1(image, image[:, :, :3])
    with pytest.raises(ValueError, match=r"expected images \(batch, height, width, 1 or 3\), got \(1, 4, 4\)"):
        horn_schunck(image[..., 0], image[..., 0])
    with pytest.raises(ValueError, match="at least one level and pixel, got 0 and 16"):
        tv_l1(image, image, levels=0)
    with pytest.raises(TypeError, match="expected bytes, or floats from 0 to 1, got int32"):
        tv_l1(image.astype(np.int32), image.astype(np.int32))
    assert tv_l1(image[:, :1, :1], image[:, :1, :1], num_warp=1, num_iter=1).tolist() == [[[[0.0, 0.0]]]]


@pytest.mark.slow  # two programs, and scikit-image, for several seconds each
def test_real_pair_is_solved_as_well_as_by_scikit_image():
    folder = shared("data", "flow", "sintel")
    part = (slice(100, 292), slice(400, 656))
    first, second = (np.asarray(Image.open(folder / f"frame_000{i}.png").convert("RGB"))[part] for i in (1, 2))
    true = cv2.readOpticalFlow(str(folder / "frame_0001.flo"))[part]

    def epe(flow):
        return np.linalg.norm(flow - true, axis=-1).mean()

    theirs = epe(by_skimage(rgb2gray(first), rgb2gray(second)))
    assert epe(np.asarray(tv_l1(first[None], second[None]))[0]) < 1.1 * theirs < 0.3 * epe(0)
    assert epe(np.asarray(horn_schunck(first[None], second[None], 0.2))[0]) < 0.5 * epe(0)
