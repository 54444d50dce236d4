"""What surrounds an image on its canvas is kept out of backbones: their maps are those of the image alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.detection.padding import inside, kept_inside, to_whole_strides, within

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["resnet_tiny", "mobilenet_v3_tiny"])
def test_the_maps_of_an_image_do_not_depend_on_its_canvas(name):
    """Of plain convolutions and poolings; of means over the map, in squeeze-and-excitation."""
    model = zoo.create(name, num_classes=0)
    images = RANDOM.standard_normal((1, 64, 96, 3)).astype(np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), images)
    variables = jax.tree.map(
        lambda x: x + 0.2 * RANDOM.random(x.shape).astype(np.float32) if x.ndim == 1 else x, variables
    )
    sizes = jnp.array([[40.0, 50.0]])

    @jax.jit
    def maps(images):
        with kept_inside(sizes, images.shape[1:3]):
            return model.apply(variables, within(images, sizes), features=True)

    small, large = maps(images[:, :64, :64]), maps(images)
    for key, found in small.items():
        if found.ndim == 4:
            real = np.asarray(inside(sizes, found.shape[1:3], (64, 64)))[..., None]
            rows, columns = found.shape[1:3]
            np.testing.assert_allclose(
                np.where(real, found - large[key][:, :rows, :columns], 0), 0, atol=1e-4, err_msg=key
            )


def test_a_canvas_of_whole_strides_stays_as_it_is():
    images = jnp.ones((1, 64, 32, 3))
    assert to_whole_strides(images) is images
    assert to_whole_strides(images, 48).shape == (1, 96, 48, 3)
    assert to_whole_strides(images, 48).sum() == images.sum()
