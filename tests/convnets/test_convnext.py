"""ConvNeXt: parameter counts, features, names in torchvision, initialisation, training, and what it refuses."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from tests.convnets import families
from tests.convnets.torch_names import drawn
from zoo.convnets.convnext import ConvNeXt, ConvNeXtBlock, Downsample, LayerScale
from zoo.nn import Conv


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convnext_tiny", 28_589_128),
        ("convnext_small", 50_223_688),
        ("convnext_base", 88_591_464),
        ("convnext_large", 197_767_336),
    ],
)
def test_parameter_count_is_torchvisions(name, expected):
    assert families.parameters(name) == expected


def test_each_stage_but_the_first_opens_with_half_the_resolution():
    assert families.feature_shapes("convnext_tiny") == {
        "stem": (56, 56, 96),
        "stage1": (56, 56, 96),
        "stage2": (28, 28, 192),
        "stage3": (14, 14, 384),
        "stage4": (7, 7, 768),
        "pre_logits": (768,),
        "logits": (1000,),
    }
    odd = families.feature_shapes("convnext_base", side=50, num_classes=0)
    assert [odd[f"stage{i}"] for i in (1, 2, 3, 4)] == [(12, 12, 128), (6, 6, 256), (3, 3, 512), (1, 1, 1024)]
    assert "logits" not in odd


def test_layers_have_torchvisions_names():
    names = families.layout("convnext_tiny", "torchvision/convnext")
    assert names["features.0.0.weight"] == (96, 3, 4, 4)
    assert names["features.5.8.block.0.weight"] == (384, 1, 7, 7)
    assert names["features.5.8.block.3.weight"] == (1536, 384)
    assert names["features.5.8.layer_scale"] == (384, 1, 1)
    assert names["features.6.1.weight"] == (768, 384, 2, 2)
    assert names["classifier.2.weight"] == (1000, 768)
    families.layout("convnext_mini", "torchvision/convnext")


def test_a_block_is_the_papers_equation():
    # Liu et al., 2022, Figure 4
    norm = functools.partial(nn.LayerNorm, epsilon=1e-6)
    block = ConvNeXtBlock(Conv, nn.Dense, norm, functools.partial(LayerScale, 1.0))
    x = np.random.default_rng(1).standard_normal((1, 9, 8, 4)).astype(np.float32)
    variables = jax.tree.map(lambda leaf: leaf - 0.75, drawn(block, x, False))
    conv, norm, dense1, dense2, scale = (
        variables["params"][name] for name in ("conv", "norm", "dense1", "dense2", "layer_scale")
    )
    maps = [ndimage.correlate(x[0, ..., i], conv["kernel"][..., 0, i], mode="constant") for i in range(4)]
    y = np.stack(maps, axis=-1) + conv["bias"]
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6) * norm["scale"] + norm["bias"]
    y = y @ dense1["kernel"] + dense1["bias"]
    y = y * stats.norm.cdf(y) @ dense2["kernel"] + dense2["bias"]
    expected = x + scale["scale"] * y
    np.testing.assert_allclose(jax.jit(block.apply, static_argnums=2)(variables, x, False), expected, atol=1e-5)


def test_at_first_kernels_are_small_and_every_branch_nearly_zero():
    kernels = ("stem/conv", "stage1/block1/conv", "stage1/block1/dense1", "stage2/downsample/conv", "head")
    model = ConvNeXt(depths=(1, 1), widths=(16, 32), num_classes=20)
    params = families.initial(model, (32, 32, 3), *kernels, "stage2/block1/layer_scale")
    for name in kernels:
        families.assert_spread(params[f"{name}/kernel"], 0.02)
        assert not params[f"{name}/bias"].any()
    assert (params["stage2/block1/layer_scale/scale"] == np.float32(1e-6)).all()


@pytest.mark.slow  # of another family in the default run
def test_the_small_variant_learns():
    first, *_, last = families.losses("convnext_mini", steps=8, rate=0.1)
    assert last < first


def test_blocks_are_left_out_more_often_the_later_they_come():
    model = ConvNeXt(depths=(1, 1), widths=(4, 4), drop_path=1.0, layer_scale=1.0, num_classes=0)
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    variables = families.he_normal(model, images.shape[1:])

    @jax.jit
    def stages(variables):
        rngs = {"dropout": jax.random.key(0)}
        return [model.apply(variables, images, train, features=True, rngs=rngs) for train in (False, True)]

    at_evaluation, in_training = stages(variables)
    np.testing.assert_array_equal(in_training["stage1"], at_evaluation["stage1"])  # the first has a rate of 0
    reduce = Downsample(4, functools.partial(Conv), functools.partial(nn.LayerNorm, epsilon=1e-6))
    only_reduced = reduce.apply({"params": variables["params"]["stage2"]["downsample"]}, in_training["stage1"])
    np.testing.assert_allclose(in_training["stage2"], only_reduced, atol=1e-6)
    assert np.abs(in_training["stage2"] - at_evaluation["stage2"]).max() > 0.1


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (1, 31, 64, 3), "ConvNeXt expected images of at least 32 x 32 pixels"),
        ({"depths": (1, 1)}, (1, 32, 32, 3), r"a depth and a width a stage, got depths \(1, 1\), widths \(96, 192, 3"),
    ],
)
def test_wrong_options_and_images_say_what_was_expected(options, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: ConvNeXt(**options).init(jax.random.key(0), jnp.zeros(shape)))
