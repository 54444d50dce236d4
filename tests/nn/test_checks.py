"""What a network refuses: the axes, the least sizes and the type are named, of images and of what has other axes."""

import jax.numpy as jnp
import numpy as np
import pytest

from zoo.nn.checks import CLIP_AXES, check_classes, check_images


def test_images_of_the_least_size_pass_and_smaller_ones_name_it():
    check_images(np.zeros((1, 5, 7, 3)), "Net", 5)
    check_images(np.zeros((1, 5, 7, 3), jnp.bfloat16), "Net", (5, 7))
    with pytest.raises(ValueError, match=r"^Net expected images of at least 6 x 6 pixels, got shape \(1, 5, 7, 3\)$"):
        check_images(np.zeros((1, 5, 7, 3)), "Net", 6)
    with pytest.raises(ValueError, match=r"^Net expected images of at least 5 x 8 pixels, got"):
        check_images(np.zeros((1, 5, 7, 3)), "Net", (5, 8))
    with pytest.raises(TypeError, match=r"^Net expected floating-point images, got uint8: scale and normalise pixels"):
        check_images(np.zeros((1, 5, 7, 3), np.uint8), "Net")


def test_clips_and_signals_have_their_own_axes():
    check_images(np.zeros((1, 4, 8, 8, 3)), "C3D", (4, 8, 8), CLIP_AXES, "clips")
    with pytest.raises(ValueError, match=r"^C3D expected clips \(batch, time, height, width, channels\), got shape"):
        check_images(np.zeros((1, 8, 8, 3)), "C3D", 1, CLIP_AXES, "clips")
    with pytest.raises(
        ValueError, match=r"clips of at least 4 x 8 x 8 \(time, height, width\), got shape \(1, 4, 8, 7"
    ):
        check_images(np.zeros((1, 4, 8, 7, 3)), "C3D", (4, 8, 8), CLIP_AXES, "clips")
    with pytest.raises(TypeError, match="expected floating-point signals, got int32"):
        check_images(np.zeros((1, 4, 3), np.int32), "Net", 1, ("time",), "signals")


@pytest.mark.parametrize("classes", [-1, 2.0, "3", None])
def test_what_is_no_number_of_classes_is_refused(classes):
    check_classes(0)
    with pytest.raises(ValueError, match="num_classes: expected a positive integer, or 0 for features"):
        check_classes(classes)
