"""LeNet-5: parameter count, shapes, and what it accepts."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.convnets.torch_names import drawn
from zoo.convnets.lenet import LeNet5
from zoo.nn import avg_pool


def test_lenet5_has_61706_parameters_for_both_image_sizes():
    for size in (28, 32):
        variables = jax.eval_shape(lambda size=size: LeNet5().init(jax.random.key(0), jnp.zeros((1, size, size, 1))))
        # 5x5x1x6 + 6, 5x5x6x16 + 16, 400x120 + 120, 120x84 + 84, 84x10 + 10
        assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 156 + 2416 + 48_120 + 10_164 + 850 == 61_706


def test_features_have_the_sizes_of_the_paper_and_small_images_are_padded_with_zeros():
    images = np.random.default_rng(0).standard_normal((2, 28, 28, 1)).astype(np.float32)
    variables = drawn(LeNet5(), images)

    @jax.jit
    def forward(variables):
        named = LeNet5().apply(variables, images, features=True)
        padded = LeNet5().apply(variables, jnp.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))))
        again = LeNet5(remat=True).apply(variables, images)
        return named, padded, again, LeNet5(num_classes=0).apply(variables, images)

    named, padded, again, pooled = forward(variables)
    assert {name: value.shape[1:] for name, value in named.items()} == {
        "stage1": (14, 14, 6),
        "stage2": (5, 5, 16),
        "pre_logits": (84,),
        "logits": (10,),
    }
    np.testing.assert_allclose(padded, named["logits"], rtol=1e-5)
    np.testing.assert_allclose(again, named["logits"], rtol=1e-6)
    np.testing.assert_array_equal(pooled, named["pre_logits"])


def test_the_papers_tanh_and_mean_pooling_keep_every_unit_within_one():
    classic = LeNet5(activation=nn.tanh, pool=avg_pool)
    images = 10 * np.random.default_rng(0).standard_normal((2, 32, 32, 1)).astype(np.float32)
    named = jax.jit(lambda variables: classic.apply(variables, images, features=True))(drawn(classic, images))
    assert all(jnp.abs(named[name]).max() <= 1 for name in ("stage1", "stage2", "pre_logits"))
    assert jnp.unique(named["stage1"]).size > 100


@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (1, 28, 32, 1), (28, 28, 1)])
def test_other_images_are_refused(shape):
    with pytest.raises(ValueError, match="LeNet5 expected images"):
        jax.eval_shape(lambda: LeNet5().init(jax.random.key(0), jnp.zeros(shape)))
