"""U-Net: the sizes of the paper's figure, its parameters, what it begins as, and images of any size.

What it computes is compared with torch's layers in `test_network_parity.py`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from zoo.dense.unet import UNet, valid_size

THIN = {"widths": (4, 6, 8), "num_classes": 3}


def outputs(size, **options):
    return families.outputs(UNet(**options), size, features=True)


def test_maps_have_the_sizes_and_channels_of_the_papers_figure():
    found = {name: value.shape[1:] for name, value in outputs((572, 572, 1)).items()}
    assert found == {
        "stage1": (568, 568, 64),
        "stage2": (280, 280, 128),
        "stage3": (136, 136, 256),
        "stage4": (64, 64, 512),
        "stage5": (28, 28, 1024),
        "up4": (52, 52, 512),
        "up3": (100, 100, 256),
        "up2": (196, 196, 128),
        "up1": (388, 388, 64),
        "pre_logits": (388, 388, 64),
        "logits": (388, 388, 2),
    }


def test_its_parameters_are_those_of_23_convolutions():
    """Section 2: "In total the network has 23 convolutional layers"."""
    widths = (64, 128, 256, 512, 1024)
    down = [pair for a, b in zip((1, *widths), widths, strict=False) for pair in ((a, b), (b, b))]
    up = [pair for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True) for pair in ((a, b), (b, b))]
    enlarging = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
    assert len(down) + len(up) + len(enlarging) + 1 == 23
    expected = sum((9 * a + 1) * b for a, b in [*down, *up]) + sum((4 * a + 1) * b for a, b in enlarging) + 65 * 2
    assert families.parameters("unet") == expected == 31_030_658
    normalised = families.parameters("unet", batch_norm=True)  # a scale and a shift in place of a bias
    assert normalised - expected == sum(b for _, b in [*down, *up])


def test_valid_sizes_are_those_that_every_pooling_halves():
    def by_steps(size, levels):
        """As one would count on the figure."""
        skips = []
        for _ in range(levels):
            size -= 4
            if size < 2 or size % 2:
                return None
            size //= 2
        size -= 4
        for _ in range(levels):
            size = 2 * size - 4
            skips.append(size)
        return size if min(skips) > 0 else None

    for levels in (1, 2, 4):
        for size in range(1, 300):
            expected = by_steps(size, levels)
            if expected is None:
                with pytest.raises(ValueError, match=f"got {size}: valid convolutions fit no other"):
                    valid_size(size, levels)
            else:
                assert valid_size(size, levels) == expected
    with pytest.raises(ValueError, match="such as 572 or 588, got 580"):
        valid_size(580)
    with pytest.raises(ValueError, match="expected a size of 188 pixels or a multiple of 16 more, such as 188 or 204"):
        zoo.init(zoo.create("unet"), jax.random.key(0), (100, 572, 1))


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (1, 131), (33, 6)])
def test_padded_alike_every_pixel_of_any_size_has_scores(size, up):
    found = outputs((*size, 3), padding="same", up=up, **THIN)
    assert found["logits"].shape == (2, *size, 3)


def test_logits_of_an_image_are_those_of_one_filled_up_by_zeros():
    model = UNet(padding="same", **THIN)
    image = np.random.default_rng(0).standard_normal((1, 10, 7, 3)).astype(np.float32)
    variables = families.he_normal(model, (12, 8, 3))
    filled = np.pad(image, ((0, 0), (0, 2), (0, 1), (0, 0)))
    found, expected = jax.jit(lambda v, *both: [model.apply(v, each) for each in both])(variables, image, filled)
    np.testing.assert_allclose(found, expected[:, :10, :7], atol=1e-6)


def test_a_valid_network_sees_no_more_than_the_image_around_each_pixel():
    """The middle of a larger image has the logits that it has alone: what the paper's tiles rest on."""
    model = UNet(**THIN)
    image = np.random.default_rng(0).standard_normal((1, 60, 52, 3)).astype(np.float32)
    variables = families.he_normal(model, (44, 44, 3))
    whole, tile = jax.jit(lambda v, x: (model.apply(v, x), model.apply(v, x[:, 8:52, 4:48])))(variables, image)
    assert (whole.shape, tile.shape) == ((1, 20, 12, 3), (1, 4, 4, 3))
    np.testing.assert_allclose(whole[:, 8:12, 4:8], tile, atol=1e-5)


def test_weights_begin_with_deviation_root_two_over_inputs_and_dropout_is_of_the_last_stage_down():
    found = families.initial(UNet(widths=(16, 32), num_classes=3), (44, 44, 3), "stage2/conv2", "head")
    families.assert_spread(np.asarray(found["stage2/conv2/kernel"]), math.sqrt(2 / (9 * 32)))
    assert not found["head/bias"].any()
    model = UNet(padding="same", dropout=1.0, **THIN)
    images = jnp.ones((1, 8, 8, 3))
    variables = families.he_normal(model, (8, 8, 3))
    named = jax.jit(lambda v: model.apply(v, images, train=True, features=True, rngs={"dropout": jax.random.key(0)}))(
        variables
    )
    assert np.any(named["stage3"])
    assert np.any(named["logits"])


def test_options_that_are_none_are_refused():
    images = np.zeros((1, 44, 44, 3), np.float32)
    for options, message in (
        ({"padding": "mirror"}, "UNet expected padding to be one of valid, same, got 'mirror'"),
        ({"up": "nearest"}, "UNet expected up to be one of transposed, bilinear, got 'nearest'"),
    ):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(UNet(**{**THIN, **options}).init, jax.random.key(0), images)
