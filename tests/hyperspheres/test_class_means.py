"""Class means: scikit-learn's nearest centroid, loops over the other examples, and classes with nobody in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestCentroid

from zoo.hyperspheres.class_means import MASKED, class_means, leave_one_out_logits, moving_means, prototypical_logits
from zoo.names import UnknownNameError

RANDOM = np.random.default_rng(0)
EMBEDDINGS = RANDOM.standard_normal((8, 3)).astype(np.float32)
LABELS = np.array([0, 0, 0, 1, 1, 3, 3, 4])  # nobody in class 2, one alone in class 4
QUERIES = RANDOM.standard_normal((20, 3)).astype(np.float32)
SCIPY = {"euclidean": lambda a, b: -cdist(a, b, "sqeuclidean"), "cosine": lambda a, b: 1 - cdist(a, b, "cosine")}


def test_means_and_predictions_are_those_of_the_nearest_centroid():
    means, present = class_means(EMBEDDINGS, LABELS, 5)
    known = NearestCentroid().fit(EMBEDDINGS, LABELS)
    assert present.tolist() == [True, True, False, True, True]
    np.testing.assert_allclose(means[present], known.centroids_, atol=1e-6)
    np.testing.assert_array_equal(means[2], 0)
    logits = prototypical_logits(QUERIES, means, present=present)
    np.testing.assert_array_equal(logits.argmax(axis=1), known.predict(QUERIES))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_logits_are_scipys_distances_and_an_absent_class_has_no_chance(metric):
    means, present = class_means(EMBEDDINGS, LABELS, 5)
    known = [0, 1, 3, 4]
    logits = prototypical_logits(QUERIES, means, metric, present)
    np.testing.assert_allclose(logits[:, known], SCIPY[metric](QUERIES, means[jnp.array(known)]), atol=1e-5)
    np.testing.assert_array_equal(logits[:, 2], MASKED)
    np.testing.assert_array_equal(jax.nn.softmax(logits)[:, 2], 0)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_leaving_one_out_is_a_loop_over_the_other_examples(metric):
    leave_one_out = jax.jit(leave_one_out_logits, static_argnums=(2, 3))
    logits, has_company = (np.asarray(found) for found in leave_one_out(EMBEDDINGS, LABELS, 5, metric))
    for i in range(8):
        others = np.arange(8) != i
        for c in range(5):
            of_class = EMBEDDINGS[others & (c == LABELS)]
            if len(of_class):
                expected = SCIPY[metric](EMBEDDINGS[i : i + 1], of_class.mean(axis=0, keepdims=True))[0, 0]
                assert logits[i, c] == pytest.approx(expected, abs=1e-5)
            else:
                assert logits[i, c] == MASKED
    assert has_company.tolist() == [True] * 7 + [False]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_loss_of_an_episode_has_the_gradient_of_finite_differences(metric):
    def loss(embeddings):
        logits, has_company = leave_one_out_logits(embeddings, LABELS, 5, metric)
        own = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(LABELS)[:, None], axis=1)[:, 0]
        return -jnp.where(has_company, own, 0.0).sum() / has_company.sum()

    with jax.enable_x64(True):
        check_grads(jax.jit(loss), (EMBEDDINGS.astype(np.float64),), order=1, modes=["rev"])
        assert np.isfinite(jax.jit(jax.grad(loss))(jnp.zeros((8, 3)))).all()


def test_moving_means_are_the_sum_of_decayed_batches_and_absent_classes_stay():
    old = RANDOM.standard_normal((5, 3)).astype(np.float32)
    expected, found = old.copy(), jnp.asarray(old)
    for _ in range(3):
        embeddings = RANDOM.standard_normal((8, 3)).astype(np.float32)
        found = moving_means(found, embeddings, LABELS, 0.75)
        for c in (0, 1, 3, 4):
            expected[c] = 0.75 * expected[c] + 0.25 * embeddings[c == LABELS].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found[2], old[2])
    np.testing.assert_array_equal(moving_means(old, EMBEDDINGS, LABELS, 1.0), old)


def test_what_cannot_be_is_refused():
    with pytest.raises(UnknownNameError, match="no metric 'cosin'; nearest: cosine"):
        prototypical_logits(QUERIES, EMBEDDINGS, "cosin")
    with pytest.raises(UnknownNameError, match="no metric 'dot'; known: cosine, euclidean"):
        leave_one_out_logits(EMBEDDINGS, LABELS, 5, "dot")
    with pytest.raises(ValueError, match=r"decay: expected 0 to 1, got 1\.5"):
        moving_means(QUERIES[:5], EMBEDDINGS, LABELS, 1.5)
