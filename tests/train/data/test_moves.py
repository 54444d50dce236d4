"""What all moves of images share: draws of an example's position alone."""

import jax
import numpy as np
import pytest
from scipy import stats

from tests.train.data.examples import IMAGES, KEY, compiled
from train.data.augment.moves import uniform


def test_draws_depend_on_the_position_alone_not_on_the_batch():
    long, short = (jax.jit(lambda key, n=n: uniform(key, n, 3))(KEY) for n in (64, 5))
    assert np.array_equal(long[:, :5], short)
    assert len(np.unique(long)) == 3 * 64
    assert stats.kstest(np.ravel(long), "uniform").pvalue > 0.01


RANDOM = [("pad_crop", 2), ("flip",), ("rotate", 30.0), ("cutout", 4), ("random_erasing", 1.0)]


@pytest.mark.parametrize("transform", [*RANDOM, ("mixup", 1.0), ("cutmix", 1.0)], ids=lambda t: t[0])
def test_one_key_gives_one_result_and_positions_differ(transform):
    images = np.repeat(IMAGES[:1], 64, axis=0)
    images[32:] = 1 - images[32:]  # partners differ, so that mixing shows
    apply = compiled(*transform)
    one, again, other = (jax.tree.leaves(apply(jax.random.key(seed), images))[-1] for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len({np.asarray(result).tobytes() for result in one}) > 1


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: t[0])
def test_an_examples_result_does_not_depend_on_the_rest_of_the_batch(transform):
    others = IMAGES.copy()
    others[3:] = 1.2 - others[3:]
    one, other = (np.asarray(compiled(*transform)(KEY, images)) for images in (IMAGES, others))
    assert np.array_equal(one[:3], other[:3])
    assert not np.array_equal(one[3:], other[3:])
