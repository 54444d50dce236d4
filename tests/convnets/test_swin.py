"""Swin transformers: parameter counts, features, windows, names in torchvision, training, and what they refuse."""

import functools
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.convnets import families
from tests.convnets.goldens import numbers
from tests.convnets.torch_names import drawn
from zoo.convnets.swin import Layers, RelativePositions, SwinBlock, SwinTransformer
from zoo.convnets.vision_transformer import MLP
from zoo.nn.attention import SelfAttention
from zoo.weights import family_of
from zoo.weights.rules import to_ours, to_theirs

GOLDEN = Path(__file__).parent / "goldens" / "swin_t.npz"


@pytest.mark.parametrize(("name", "expected"), [("swin_t", 28_288_354), ("swin_s", 49_606_258), ("swin_b", 87_768_224)])
def test_parameter_count_is_torchvisions(name, expected):
    assert families.parameters(name) == expected


def test_each_stage_but_the_first_merges_patches_and_an_odd_map_is_padded():
    assert families.feature_shapes("swin_t") == {
        "stem": (56, 56, 96),
        "stage1": (56, 56, 96),
        "stage2": (28, 28, 192),
        "stage3": (14, 14, 384),
        "stage4": (7, 7, 768),
        "pre_logits": (768,),
        "logits": (1000,),
    }
    odd = families.feature_shapes("swin_t", side=75, num_classes=0, depths=(1, 1, 1, 1))
    assert [odd[f"stage{i}"][:2] for i in (1, 2, 3, 4)] == [(18, 18), (9, 9), (5, 5), (3, 3)]
    assert "logits" not in odd


def test_layers_have_torchvisions_names():
    names = families.layout("swin_t", "torchvision/swin")
    assert names["features.0.0.weight"] == (96, 3, 4, 4)
    assert names["features.5.5.attn.qkv.weight"] == (1152, 384)
    assert names["features.5.5.attn.relative_position_bias_table"] == (169, 12)
    assert names["features.6.reduction.weight"] == (768, 1536)
    assert names["features.7.1.mlp.3.weight"] == (768, 3072)
    assert "features.6.reduction.bias" not in names
    families.layout("swin_mini", "torchvision/swin")


def test_torchvisions_buffers_are_saved_too_and_ignored_in_loading():
    expected = numbers.shapes(np.load(GOLDEN)["names"])
    assert families.layout("swin_t", "torchvision/swin") == expected
    assert expected["features.7.1.attn.relative_position_index"] == (7**4,)
    family = family_of("torchvision/swin", None)
    ours = {"params/stage1/block2/positions/table": np.zeros((13**2, 3), np.float32)}
    theirs, _ = to_theirs(family, ours)
    index = theirs["features.1.1.attn.relative_position_index"]
    assert index.dtype == np.int64
    places = [(row, column) for row in range(7) for column in range(7)]
    assert index.tolist() == [13 * (a - c + 6) + b - d + 6 for a, b in places for c, d in places]
    back, _, problems = to_ours(family, theirs)
    assert back.keys() == ours.keys()
    assert not problems


def test_positions_are_told_apart_by_rows_and_columns_alone():
    table = np.arange(2 * 25, dtype=np.float32).reshape(2, 25).T
    bias = np.asarray(RelativePositions((3, 3), jnp.float32, 2).apply({"params": {"table": table}}))
    found = {}
    for query, key in np.ndindex(9, 9):
        apart = (query // 3 - key // 3, query % 3 - key % 3)
        assert found.setdefault(apart, bias[0, query, key]) == bias[0, query, key]
    assert sorted(found.values()) == list(range(25))
    assert found[0, 0] == 12
    np.testing.assert_array_equal(bias[1], bias[0] + 25)


def test_what_a_place_changes_stays_in_its_window():
    layers = Layers(
        nn.LayerNorm, nn.Dense, SelfAttention, functools.partial(RelativePositions, (2, 2), jnp.float32), MLP
    )
    x = np.random.default_rng(0).standard_normal((1, 5, 4, 8)).astype(np.float32)
    variables = jax.tree.map(lambda leaf: leaf - 0.75, drawn(SwinBlock(2, (2, 2), (0, 0), layers), x, False))

    @functools.partial(jax.jit, static_argnums=0)
    def changed(shift, place):
        block = SwinBlock(2, (2, 2), (shift, shift), layers)
        other = jnp.asarray(x).at[0, *place].multiply(-1)
        return jnp.abs(block.apply(variables, other, False) - block.apply(variables, x, False)).max((0, 3)) > 1e-4

    def square(rows, columns):
        return np.isin(np.arange(5), rows)[:, None] & np.isin(np.arange(4), columns)

    for shift, place, rows, columns in (
        (0, (0, 0), (0, 1), (0, 1)),
        (0, (4, 3), (4,), (2, 3)),  # the rest of this window is padding
        (1, (0, 0), (0,), (0,)),  # the shift brought the other corners here
        (1, (2, 2), (1, 2), (1, 2)),
        (1, (0, 2), (0,), (1, 2)),
    ):
        np.testing.assert_array_equal(
            changed(shift, jnp.array(place)), square(rows, columns), err_msg=f"{shift} {place}"
        )


def test_initialisation_is_torchvisions():
    model = SwinTransformer(depths=(1, 1), heads=(2, 2), width=32, num_classes=20)
    block = "stage2/block1"
    dense = (f"{block}/attention/in_proj", f"{block}/attention/out_proj", f"{block}/mlp/dense2", "head")
    params = families.initial(model, (32, 32, 3), "stem/conv", *dense, "stage2/merge/dense", f"{block}/positions")
    for name in (*dense, "stage2/merge/dense"):
        families.assert_spread(params[f"{name}/kernel"], 0.02)
    families.assert_spread(params[f"{block}/positions/table"], 0.02)
    assert not any(params[f"{name}/bias"].any() for name in dense)
    for part in ("kernel", "bias"):  # uniform, torch's default
        assert 0.8 * 48**-0.5 < np.abs(params[f"stem/conv/{part}"]).max() <= 48**-0.5


@pytest.mark.slow  # of another family in the default run
def test_the_small_variant_learns():
    first, *_, last = families.losses("swin_mini", steps=8, rate=0.05)
    assert last < first


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"heads": (3, 6)}, (1, 32, 32, 3), r"a depth and heads a stage, got depths \(2, 2, 6, 2\), heads \(3, 6\)"),
        ({"width": 100}, (1, 32, 32, 3), "100 channels cannot be cut in 3 equal heads"),
        ({}, (1, 3, 32, 3), "SwinTransformer expected images of at least 4 x 4 pixels"),
    ],
)
def test_wrong_options_and_images_say_what_was_expected(options, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: SwinTransformer(**options).init(jax.random.key(0), jnp.zeros(shape)))
