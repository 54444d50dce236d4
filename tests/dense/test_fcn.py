"""A fully convolutional head: each map scored, enlarged bilinearly and summed, as one can do by hand."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from skimage.transform import resize

import zoo
from zoo.dense import FCN
from zoo.names import UnknownNameError
from zoo.nn import Conv
from zoo.nn.maps import maps_of

IMAGES = np.random.default_rng(0).normal(size=(2, 12, 8, 3)).astype(np.float32)


class Backbone(nn.Module):
    """Maps of three sizes, two of them of one size, and a vector."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        named, x = {}, images
        for name, strides in (("stem", 1), ("stage1", 2), ("stage2", 1), ("stage3", 2)):
            named[name] = x = nn.relu(Conv(4, (3, 3), strides, 1, name=name)(x))
        named["pre_logits"] = x = x.mean(axis=(1, 2))
        return named if features else x


class NoMaps(nn.Module):
    """A network that names nothing."""

    @nn.compact
    def __call__(self, images, train=False):
        return nn.Dense(2)(images)


def scored(maps=()):
    """A head with weights that are not zero, the backbone's maps, and the head's logits."""
    model, random = FCN(Backbone(), 5, maps), np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0), IMAGES)["params"]
    params = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), shapes)

    @jax.jit
    def applied(params):
        named = Backbone().apply({"params": params["backbone"]}, IMAGES, features=True)
        return named, model.apply({"params": params}, IMAGES)

    return params, *jax.device_get(applied(params))


def by_hand(params, maps, name):
    """The scores of one map."""
    return maps[name] @ params[f"score_{name}"]["kernel"][0, 0] + params[f"score_{name}"]["bias"]


def larger(scores, size):
    """Each image's scores, enlarged by scikit-image."""
    return np.stack([resize(one, size, order=1, mode="edge") for one in scores])


def test_logits_are_the_sum_of_each_maps_scores_enlarged_to_the_next():
    params, maps, logits = scored()
    assert {name for name in params if name.startswith("score_")} == {"score_stem", "score_stage2", "score_stage3"}
    # From coarse to fine; stage1 is as large as stage2 and comes before it.
    total = by_hand(params, maps, "stage2") + larger(by_hand(params, maps, "stage3"), (6, 4))
    total = by_hand(params, maps, "stem") + larger(total, (12, 8))
    np.testing.assert_allclose(logits, total, rtol=1e-3, atol=1e-3)


def test_coarsest_map_alone_is_enlarged_to_the_image_at_once():
    params, maps, logits = scored(("stage3",))
    expected = larger(by_hand(params, maps, "stage3"), (12, 8))
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def test_untrained_head_says_nothing_of_any_pixel():
    key = jax.random.key(0, impl="rbg")  # compiles sooner
    logits, _ = jax.jit(FCN(Backbone(), 5).init_with_output)(key, IMAGES)
    assert logits.shape == (2, 12, 8, 5)
    assert not np.asarray(logits).any()


def test_backbone_without_maps_and_map_without_backbone_are_refused():
    with pytest.raises(ValueError, match="got NoMaps"):
        jax.eval_shape(FCN(NoMaps(), 5).init, jax.random.key(0), IMAGES)
    with pytest.raises(UnknownNameError, match="stage33"):
        jax.eval_shape(FCN(Backbone(), 5, ("stage33",)).init, jax.random.key(0), IMAGES)
    with pytest.raises(ValueError, match="expected images"):
        jax.eval_shape(FCN(Backbone(), 5).init, jax.random.key(0), IMAGES[0])


def test_maps_come_from_fine_to_coarse_whatever_order_they_are_asked_for():
    found = []

    class Asks(nn.Module):
        @nn.compact
        def __call__(self, images):
            found.extend(maps_of(Backbone(), images, False, ("stage3", "stem")))

    jax.eval_shape(Asks().init, jax.random.key(0), IMAGES)
    assert found == ["stem", "stage3"]


def test_exported_program_serves_batches_of_any_size():
    params, _, logits = scored()
    exported = zoo.export_model(FCN(Backbone(), 5), {"params": params}, IMAGES.shape[1:], platforms=("cpu",))
    program = jax.export.deserialize(exported.serialize())
    assert program.out_avals[0].str_short() == "float32[batch,12,8,5]"
    for count in (1, 2):
        found = program.call({"params": params}, IMAGES[:count])
        np.testing.assert_allclose(found, logits[:count], rtol=1e-3, atol=1e-3)
