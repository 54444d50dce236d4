"""Attacks beside closed forms of linear losses and finite differences; and the ball and range that they keep."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.frontiers import fgsm, pgd, steepest
from zoo.names import UnknownNameError

random = np.random.default_rng(0)
SLOPES = random.standard_normal((4, 5, 6, 2)).astype(np.float32)
IMAGES = random.uniform(0, 1, SLOPES.shape).astype(np.float32)
AXES = (1, 2, 3)


def linear(images):
    return (SLOPES * images).sum(axis=AXES)


def wavy(images):
    """A loss whose gradient changes from place to place."""
    return (jnp.sin(9 * images) * SLOPES).sum(axis=AXES)


def lengths(change, norm):
    return np.abs(change).max(axis=AXES) if norm == "linf" else np.sqrt(np.square(change).sum(axis=AXES))


def test_fgsm_is_a_step_along_the_sign_of_finite_differences():
    found = fgsm(wavy, IMAGES, 0.03, bounds=(-9, 9))
    for place in [(0, 0, 0, 0), (3, 4, 5, 1), (2, 1, 3, 0)]:
        step = np.zeros_like(IMAGES)
        step[place] = 1e-3
        slope = (wavy(IMAGES + step) - wavy(IMAGES - step))[place[0]]
        np.testing.assert_allclose((found - IMAGES)[place], 0.03 * np.sign(slope), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_of_a_linear_loss_the_end_is_the_ball_s_farthest_point(norm, targeted):
    found = pgd(linear, IMAGES, 0.5, 0.2, 6, norm, bounds=(-9, 9), targeted=targeted, key=jax.random.key(0))
    sign = -1 if targeted else 1
    farthest = np.sign(SLOPES) if norm == "linf" else SLOPES / lengths(SLOPES, "l2")[:, None, None, None]
    if norm == "linf":
        np.testing.assert_allclose(found - IMAGES, sign * 0.5 * farthest, atol=1e-6)
    # On a sphere steps come nearer and nearer; Hölder's inequality says how far the loss can get.
    gained = sign * (linear(found) - linear(IMAGES))
    most = 0.5 * (np.abs(SLOPES).sum(axis=AXES) if norm == "linf" else lengths(SLOPES, "l2"))
    assert np.all(gained <= most * (1 + 1e-5))
    assert np.all(gained > 0.95 * most)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [1, 4, 13])  # 13 are a loop
def test_images_stay_in_the_ball_and_in_range(norm, steps):
    epsilon = 0.1 if norm == "linf" else 0.8
    attack = functools.partial(pgd, wavy, epsilon=epsilon, step=epsilon / 2, steps=steps, norm=norm)
    for key in (None, jax.random.key(3)):
        found = np.asarray(jax.jit(functools.partial(attack, key=key))(IMAGES))
        assert lengths(found - IMAGES, norm).max() <= epsilon * (1 + 1e-5)
        assert lengths(found - IMAGES, norm).min() > epsilon / 4
        assert found.min() >= 0
        assert found.max() <= 1


def test_one_step_from_the_image_is_fgsm_and_more_steps_find_more():
    one = pgd(wavy, IMAGES, 0.1, 0.1, 1)
    np.testing.assert_allclose(one, fgsm(wavy, IMAGES, 0.1), atol=1e-6)
    towards = pgd(wavy, IMAGES, 0.1, 0.1, 1, targeted=True)
    np.testing.assert_allclose(towards, fgsm(wavy, IMAGES, 0.1, targeted=True), atol=1e-6)
    assert np.all(wavy(towards) < wavy(one))
    many = pgd(wavy, IMAGES, 0.1, 0.02, 20)
    assert np.all(wavy(many) > wavy(one))
    assert np.all(wavy(pgd(wavy, IMAGES, 0.1, 0.02, 20, targeted=True)) < wavy(IMAGES))


def test_a_batch_is_its_images_one_by_one():
    found = pgd(wavy, IMAGES, 0.5, 0.2, 3, "l2")
    for number in range(len(IMAGES)):
        alone = lambda image, n=number: (jnp.sin(9 * image) * SLOPES[n : n + 1]).sum(axis=AXES)  # noqa: E731
        np.testing.assert_allclose(
            pgd(alone, IMAGES[number : number + 1], 0.5, 0.2, 3, "l2")[0], found[number], atol=1e-6
        )


def test_where_to_begin_is_uniform_in_the_ball():
    images = jnp.full((4000, 3), 0.5)
    for norm in ("linf", "l2"):
        nowhere = pgd(lambda x: 0 * x.sum(axis=1), images, 0.2, 0.1, 1, norm, key=jax.random.key(1))
        change = np.asarray(nowhere - images)
        length = np.abs(change).max(axis=1) if norm == "linf" else np.sqrt(np.square(change).sum(axis=1))
        # The share of a ball's volume within half its radius is an eighth, in three dimensions.
        assert np.mean(length < 0.1) == pytest.approx(1 / 8, abs=0.02)
        np.testing.assert_allclose(change.mean(axis=0), 0, atol=0.01)


def test_without_slopes_nothing_moves_and_nothing_is_nan():
    for norm in ("linf", "l2"):
        np.testing.assert_array_equal(steepest(jnp.zeros((2, 3)), norm), 0)
        np.testing.assert_array_equal(pgd(lambda x: 0 * x.sum(axis=AXES), IMAGES, 0.1, 0.1, 2, norm), IMAGES)
    np.testing.assert_array_equal(fgsm(wavy, IMAGES, 0.0), IMAGES)


@pytest.mark.parametrize("size", [1e-34, 1e-22, 1e-19, 1.0, 1e30])
def test_a_direction_has_length_one_however_small_or_large_the_slopes_are(size):
    slopes = np.float32(size) * SLOPES.reshape(4, -1)
    expected = SLOPES.reshape(4, -1) / lengths(SLOPES, "l2")[:, None]
    np.testing.assert_allclose(jax.jit(lambda: steepest(slopes, "l2"))(), expected, rtol=1e-4)
    found = pgd(lambda x: (x * slopes).sum(axis=1), jnp.full(slopes.shape, 0.5), 1.0, 0.25, 2, "l2", bounds=(-9, 9))
    np.testing.assert_allclose(lengths(np.asarray(found - 0.5).reshape(IMAGES.shape), "l2"), 0.5, rtol=1e-4)


def test_no_images_are_attacked_and_integers_are_refused():
    for norm in ("linf", "l2"):
        found = pgd(lambda x: x.sum(axis=AXES), IMAGES[:0], 0.1, 0.1, 2, norm, key=jax.random.key(0))
        assert found.shape == (0, 5, 6, 2)
    with pytest.raises(TypeError, match="expected floating-point images, got uint8"):
        pgd(linear, IMAGES.astype(np.uint8), 0.1, 0.1, 2)
    with pytest.raises(TypeError, match="expected floating-point images, got uint8"):
        fgsm(linear, IMAGES.astype(np.uint8), 0.1)


def test_an_attack_teaches_a_network_nothing():
    def after(weight):
        return pgd(lambda x: jnp.sin(weight * x).sum(axis=AXES), IMAGES, 0.1, 0.05, 2, "l2").sum()

    assert jax.grad(after)(3.0) == 0
    along = jax.grad(lambda images: pgd(linear, images, 0.1, 0.05, 2, bounds=(-9, 9)).sum())(IMAGES)
    np.testing.assert_array_equal(along, 1)  # the image itself, moved by a number


def test_what_is_no_attack_is_refused():
    with pytest.raises(UnknownNameError, match="norm"):
        pgd(linear, IMAGES, 0.1, 0.1, 1, "l1")
    for arguments, options in (((-0.1, 0.1, 1), {}), ((0.1, -0.1, 1), {}), ((0.1, 0.1, 0), {})):
        with pytest.raises(ValueError, match="expected"):
            pgd(linear, IMAGES, *arguments, **options)
    with pytest.raises(ValueError, match="bounds in order"):
        fgsm(linear, IMAGES, 0.1, bounds=(1.0, 0.0))
