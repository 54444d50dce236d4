"""Vision transformers: parameter counts, features, positions, names in torchvision, training, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from zoo.convnets.vision_transformer import VisionTransformer, interpolate_positions
from zoo.weights import family_of
from zoo.weights.rules import to_ours


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_b_16", 86_567_656),
        ("vit_b_32", 88_224_232),
        ("vit_l_16", 304_326_632),
        ("vit_l_32", 306_535_400),
        ("vit_h_14", 632_045_800),
    ],
)
def test_parameter_count_is_torchvisions(name, expected):
    assert families.parameters(name) == expected


def test_larger_images_have_more_positions():
    # torchvision's ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1, for 384 x 384 pixels
    sizes = {
        side: sum(leaf.size for leaf in families.shapes(VisionTransformer(), (side, side, 3)).values())
        for side in (224, 384)
    }
    assert sizes == {224: 86_567_656, 384: 86_859_496}


def test_patches_and_the_encoders_output_are_maps_and_the_class_token_is_the_result():
    assert families.feature_shapes("vit_b_32") == {
        "stem": (7, 7, 768),
        **{f"block{i}": (7, 7, 768) for i in range(1, 13)},
        "stage1": (7, 7, 768),
        "pre_logits": (768,),
        "logits": (1000,),
    }
    model = zoo.create("vit_mini", num_classes=0)
    named = families.outputs(model, (16, 40, 3), features=True)
    assert {name: value.shape for name, value in named.items()} == {
        "stem": (2, 2, 5, 16),
        **{f"block{i}": (2, 2, 5, 16) for i in (1, 2)},
        "stage1": (2, 2, 5, 16),
        "pre_logits": (2, 16),
    }
    plain = families.outputs(model, (16, 40, 3))
    np.testing.assert_array_equal(plain, named["pre_logits"])


def test_layers_have_torchvisions_names_old_and_new():
    names = families.layout("vit_b_16", "torchvision/vision_transformer")
    assert names["class_token"] == (1, 1, 768)
    assert names["encoder.pos_embedding"] == (1, 197, 768)
    assert names["encoder.layers.encoder_layer_11.self_attention.in_proj_weight"] == (2304, 768)
    assert names["encoder.layers.encoder_layer_0.mlp.0.weight"] == (3072, 768)
    assert names["heads.head.weight"] == (1000, 768)
    old = {f"encoder.layers.encoder_layer_3.mlp.linear_{n}.bias": np.zeros(4) for n in (1, 2)}
    found, _, problems = to_ours(family_of("torchvision/vision_transformer", None), old)
    assert not problems
    assert set(found) == {f"params/stage1/block4/mlp/dense{n}/bias" for n in (1, 2)}


def test_initialisation_is_torchvisions():
    model = VisionTransformer(patch_size=8, depth=1, heads=2, width=32, hidden=64)
    block = "stage1/block1"
    layers = ("stem/conv", *(f"{block}/{name}" for name in ("attention/in_proj", "attention/out_proj", "mlp/dense1")))
    params = families.initial(model, (32, 32, 3), *layers, "head", "")
    families.assert_spread(params["stem/conv/kernel"], (1 / (8 * 8 * 3)) ** 0.5)
    families.assert_spread(params["position_embedding"], 0.02)
    families.assert_spread(params[f"{block}/mlp/dense1/bias"], 1e-6)
    for layer, bound in zip(layers[1:], ((6 / (32 + 96)) ** 0.5, 32**-0.5, (6 / (32 + 64)) ** 0.5), strict=True):
        assert 0.98 * bound < np.abs(params[f"{layer}/kernel"]).max() <= bound  # uniform
    for name in ("class_token", "head/kernel", "head/bias", "stem/conv/bias", f"{block}/attention/in_proj/bias"):
        assert not params[name].any()


def test_positions_are_interpolated_as_torch_does():
    # torch.nn.functional.interpolate(..., mode="bicubic", align_corners=True) in float64
    square = np.array([[0, 1, 2], [3, 5, 8], [-1, 4, -6]], np.float32)
    table = np.concatenate([[7.0], square.ravel()]).reshape(1, 10, 1) * np.array([1, -2], np.float32)
    expected = [
        [0, 0.574074, 1.425926, 2],
        [1.875, 2.352431, 4.242477, 6.3125],
        [3, 4.037037, 6.166667, 8],
        [1.28125, 4.11169, 4.231481, 1.5625],
        [-1, 3.537037, 1.407407, -6],
    ]
    fitted = interpolate_positions(jnp.asarray(table, jnp.float32), (5, 4))
    np.testing.assert_allclose(fitted[0, :, 0], [7, *np.ravel(expected)], atol=2e-6)
    np.testing.assert_allclose(fitted[0, :, 1], -2 * fitted[0, :, 0], atol=1e-5)
    np.testing.assert_array_equal(interpolate_positions(table, (3, 3)), table)
    np.testing.assert_allclose(interpolate_positions(table, (1, 2))[0, :, 0], [7, 0, 2], atol=1e-6)
    with pytest.raises(ValueError, match=r"class token and n \* n patches, got \(1, 12, 2\)"):
        interpolate_positions(jnp.zeros((1, 12, 2)), (4, 4))


def test_images_of_another_size_need_other_positions():
    model = zoo.create("vit_mini")
    variables = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), (32, 32, 3)))
    large = jnp.zeros((1, 48, 32, 3))
    with pytest.raises(ValueError, match=r"positions for 16 patches, got 24: .*interpolate_positions"):
        jax.eval_shape(model.apply, variables, large)

    def enlarged(variables):
        positions = interpolate_positions(variables["params"]["position_embedding"], (6, 4))
        return model.apply({"params": {**variables["params"], "position_embedding": positions}}, large)

    assert jax.eval_shape(enlarged, variables).shape == (1, 10)


def test_the_small_variant_learns():
    first, *_, last = families.losses("vit_mini", steps=8, rate=0.05, dropout=0.1)
    assert last < first


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (1, 64, 72, 3), r"sides divisible by the patches' 16 pixels, got shape \(1, 64, 72, 3\)"),
        ({"patch_size": 32}, (1, 16, 64, 3), "VisionTransformer expected images of at least 32 x 32 pixels"),
        ({"heads": 10}, (1, 32, 32, 3), "768 channels cannot be cut in 10 equal heads"),
    ],
)
def test_wrong_options_and_images_say_what_was_expected(options, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: VisionTransformer(**options).init(jax.random.key(0), jnp.zeros(shape)))
