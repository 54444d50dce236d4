"""Several scales and mirror images: the mean of their probabilities, as a loop by hand with scikit-image has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from skimage.transform import resize

from zoo.dense import multi_scale

KERNEL = np.random.default_rng(0).standard_normal((3, 3, 3, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((2, 13, 18, 3)).astype(np.float32)


def network(images):
    """Logits that depend on the neighbours, and not alike on those to the left and to the right."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return 2 * jax.lax.conv_general_dilated(images, KERNEL, (1, 1), "SAME", dimension_numbers=numbers)


def by_numpy(images):
    """The same logits."""
    around = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(1, 2))
    return 2 * np.einsum("bhwcij,ijcd->bhwd", windows, KERNEL)


def resized(maps, size):
    return np.stack([resize(one, size, order=1, mode="edge", anti_aliasing=False) for one in maps])


def by_hand(images, scales, flip):
    height, width = images.shape[1:3]
    views = []
    for scale in scales:
        seen = resized(images, (round(height * scale), round(width * scale)))
        for mirrored in (False, True)[: 1 + flip]:
            logits = by_numpy(seen[:, :, ::-1] if mirrored else seen)
            logits = logits[:, :, ::-1] if mirrored else logits
            views.append(softmax(resized(logits, (height, width)).astype(np.float64), axis=-1))
    return np.mean(views, axis=0)


def test_probabilities_are_the_mean_of_a_loop_by_hand():
    scales = 0.5, 1.0, 1.75
    found = jax.jit(lambda images: multi_scale(network, images, scales, True))(IMAGES)
    np.testing.assert_allclose(np.exp(found), by_hand(IMAGES, scales, True), atol=2e-5)
    np.testing.assert_allclose(softmax(found, axis=-1), np.exp(found), atol=1e-5)  # so it stands in for logits


def test_one_scale_alone_is_the_network_itself_and_mirror_images_are_seen_as_mirror_images():
    mirrored = IMAGES[:, :, ::-1]

    @jax.jit
    def program(images):
        alone, both = (multi_scale(network, images, (1.0,), flip) for flip in (False, True))
        return jax.nn.log_softmax(network(images)), alone, both

    expected, alone, both = program(IMAGES)
    np.testing.assert_allclose(alone, expected, atol=1e-5)
    _, other, of_mirrored = program(mirrored)
    np.testing.assert_allclose(of_mirrored, both[:, :, ::-1], atol=1e-4)
    assert np.abs(other - alone[:, :, ::-1]).max() > 0.1


def test_sure_classes_stay_numbers():
    found = jax.jit(lambda images: multi_scale(lambda x: 1e4 * x, images, (1.0,), True))(IMAGES)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (5, 2)])
def test_images_of_few_pixels_keep_one_at_least(size):
    seen = []

    def noting(images):
        seen.append(images.shape[1:3])
        return images

    images = np.zeros((1, *size, 3), np.float32)
    assert jax.eval_shape(lambda x: multi_scale(noting, x, (0.1, 2.0), False), images).shape == images.shape
    assert seen == [tuple(max(1, round(side * scale)) for side in size) for scale in (0.1, 2.0)]


def test_no_scale_and_no_batch_are_refused():
    for scales in ((), (0.0, 1.0), (-1.0,)):
        with pytest.raises(ValueError, match="expected one or more positive scales"):
            multi_scale(network, IMAGES, scales, False)
    with pytest.raises(ValueError, match=r"expected images \(batch, height, width, channels\)"):
        multi_scale(network, jnp.asarray(IMAGES[0]), (1.0,), False)
