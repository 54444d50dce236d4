"""Privileged information: the slide's cross-entropy, counts of triplets as scipy's, and both aims are met at once."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.stats import kendalltau, somersd
from sklearn.metrics import log_loss

from tests.shared import shared
from zoo.hyperspheres import largest_cosine, separate
from zoo.hyperspheres.semantics import (
    prototypes_of_unseen,
    ranking_loss,
    sample_triplets,
    separate_with_semantics,
    triplets_held,
)
from zoo.hyperspheres.taxonomy import taxonomy_of, taxonomy_similarity
from zoo.hyperspheres.vectors import load_vectors, similarity
from zoo.names import UnknownNameError

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
SIMILARITY = RANDOM.integers(0, 5, (7, 7)).astype(np.float32)  # not symmetric, and with ties
PROTOTYPES = RANDOM.standard_normal((7, 3))
PROTOTYPES = (PROTOTYPES / np.linalg.norm(PROTOTYPES, axis=1, keepdims=True)).astype(np.float32)
MANY = similarity(RANDOM.standard_normal((100, 20)))  # as many classes as CIFAR-100: all compile once
LOSS, SAMPLE = jax.jit(ranking_loss), jax.jit(sample_triplets, static_argnums=(1, 2))
TRIPLETS = np.array(list(itertools.permutations(range(7), 3)))

pytestmark = pytest.mark.usefixtures("optimised")


@pytest.fixture(scope="module")
def cifar100():
    path = shared("data", "vectors", "glove_cifar_classes.npz")
    names = np.load(path)["cifar100_names"].tolist()
    return similarity(load_vectors(path, names)), taxonomy_similarity(taxonomy_of("cifar100", names))


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_the_loss_is_the_slides_cross_entropy(temperature):
    truths, probabilities = [], []
    for i, j, k in TRIPLETS:
        if SIMILARITY[i, j] != SIMILARITY[i, k]:
            difference = PROTOTYPES[i] @ PROTOTYPES[j] - PROTOTYPES[i] @ PROTOTYPES[k]
            truths.append(int(SIMILARITY[i, j] > SIMILARITY[i, k]))
            probabilities.append(1 / (1 + math.exp(-difference / temperature)))
    expected = log_loss(truths, probabilities)
    for triplets in (None, jnp.array(TRIPLETS), jnp.array([*TRIPLETS, (0, 0, 1), (2, 3, 3), (4, 1, 4)])):
        found = LOSS(PROTOTYPES, SIMILARITY, triplets, temperature)
        assert found == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_finite_differences():
    with jax.enable_x64(True):
        vectors = PROTOTYPES.astype(np.float64)
        for triplets in (None, jnp.array(TRIPLETS[::3])):
            check_grads(
                jax.jit(lambda p, t=triplets: ranking_loss(p, SIMILARITY, t, 0.5)), (vectors,), order=1, modes=["rev"]
            )


def test_equal_cosines_cost_log_2_and_equal_similarities_nothing():
    assert ranking_loss(separate(KEY, 4, 3), SIMILARITY[:4, :4]) == pytest.approx(math.log(2), rel=1e-6)
    loss, slope = jax.jit(jax.value_and_grad(ranking_loss))(PROTOTYPES, np.ones((7, 7)))
    assert loss == 0
    np.testing.assert_array_equal(slope, 0)


def test_held_triplets_are_counted_as_by_scipy():
    cosines = PROTOTYPES.astype(np.float64) @ PROTOTYPES.astype(np.float64).T
    held = total = 0
    for i in range(7):
        others = np.arange(7) != i
        pairs = sum(SIMILARITY[i, j] > SIMILARITY[i, k] for _, j, k in TRIPLETS[TRIPLETS[:, 0] == i])
        held += pairs * (1 + somersd(SIMILARITY[i, others], cosines[i, others]).statistic) / 2
        total += pairs
    assert triplets_held(PROTOTYPES, SIMILARITY) == pytest.approx(held / total, rel=1e-12)
    distinct = RANDOM.standard_normal((7, 7))
    taus = [kendalltau(np.delete(distinct[i], i), np.delete(cosines[i], i)).statistic for i in range(7)]
    assert triplets_held(PROTOTYPES, distinct) == pytest.approx((1 + np.mean(taus)) / 2, rel=1e-12)


def test_prototypes_that_are_as_alike_as_their_classes_hold_all_triplets_and_the_opposite_none():
    cosines = PROTOTYPES @ PROTOTYPES.T
    assert triplets_held(PROTOTYPES, cosines.astype(np.float64)) == 1
    assert triplets_held(PROTOTYPES, -cosines) == 0
    assert triplets_held(np.eye(7), SIMILARITY) == 0.5


def test_sampled_triplets_are_of_different_classes_each_as_likely():
    drawn = np.asarray(SAMPLE(KEY, 5, 60_000))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 5 * 4 * 3
    assert all(len(set(triplet)) == 3 for triplet in np.unique(drawn, axis=0).tolist())
    np.testing.assert_allclose(counts, 1000, atol=150)  # almost five standard deviations


def test_the_loss_of_a_sample_is_near_that_of_all():
    drawn = SAMPLE(KEY, 7, 50_000)
    assert LOSS(PROTOTYPES, SIMILARITY, drawn) == pytest.approx(float(LOSS(PROTOTYPES, SIMILARITY)), abs=0.01)


def quick(key=KEY, similarity=MANY, dims=10, **options):
    return separate_with_semantics(key, similarity, dims, **{"steps": 300, "triplets": 4096, **options})


@pytest.fixture(scope="module")
def joint_in_10_dims(cifar100):
    return quick(similarity=cifar100[0])


def test_prototypes_of_cifar100_follow_its_words_and_stay_apart(cifar100, joint_in_10_dims):
    words, superclasses = cifar100
    np.testing.assert_allclose(np.linalg.norm(joint_in_10_dims, axis=1), 1, atol=1e-6)
    assert triplets_held(joint_in_10_dims, words) > 0.65
    assert largest_cosine(joint_in_10_dims) < 0.4
    # What the words know, the superclasses know too, though they were not asked.
    assert triplets_held(joint_in_10_dims, superclasses) > 0.65


@pytest.mark.slow
@pytest.mark.parametrize(("dims", "held"), [(3, 0.70), (5, 0.69), (10, 0.67), (25, 0.66)])
def test_more_triplets_hold_than_of_plain_prototypes_at_little_cost(cifar100, dims, held):
    plain, joint = separate(KEY, 100, dims), separate_with_semantics(KEY, cifar100[0], dims)
    assert triplets_held(joint, cifar100[0]) > held > 0.53 > triplets_held(plain, cifar100[0])
    assert largest_cosine(joint) < largest_cosine(plain) + 0.04


def test_classes_of_a_superclass_are_closer_than_others(cifar100):
    superclasses = cifar100[1]
    joint = quick(similarity=superclasses)
    cosines = np.asarray(joint @ joint.T)
    same = (superclasses == 0.5) & ~np.eye(100, dtype=bool)
    assert cosines[same].mean() > 0.25
    assert cosines[superclasses == 0].mean() < 0
    assert triplets_held(joint, superclasses) > 0.9


def test_the_same_key_gives_the_same_and_another_another():
    np.testing.assert_array_equal(quick(), quick())
    assert np.abs(quick() - quick(key=jax.random.key(1))).max() > 0.1


def test_without_weight_they_are_separated_alone_and_with_more_of_it_more_triplets_hold():
    alone, some, most = (quick(weight=weight) for weight in (0.0, 1.0, 100.0))
    assert triplets_held(alone, MANY) == pytest.approx(0.5, abs=0.03)
    assert triplets_held(alone, MANY) < triplets_held(some, MANY) < triplets_held(most, MANY)
    assert largest_cosine(alone) < largest_cosine(some) < largest_cosine(most)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "degrees"), [(7, 77.8695), (8, 74.8585), (10, 66.1468)])
def test_without_weight_the_problem_is_that_of_tammes(classes, degrees):
    alone = (quick(jax.random.key(seed), np.eye(classes), 3, weight=0.0, steps=1500) for seed in range(3))
    found = math.degrees(math.acos(min(largest_cosine(prototypes) for prototypes in alone)))
    assert found == pytest.approx(degrees, abs=0.1)


@pytest.mark.parametrize("objective", ["mean", pytest.param("max", marks=pytest.mark.slow)])
def test_each_objective_puts_a_new_class_on_a_circle_where_it_is_least(objective):
    seen = np.radians([0.0, 10.0, 20.0, 180.0])
    prototypes = np.stack([np.cos(seen), np.sin(seen)], axis=1).astype(np.float32)
    # The largest cosine is least half way between 180 and 360. With the largest of each of the seen, which is its
    # cosine to the new class, what does not cancel is cos(180 - a) + cos(a - 10) + cos(a - 20): it has no slope at
    # a = 270 - t, where tan(t) = (2 cos(5) cos(15) - 1) / (2 cos(5) sin(15)).
    ten, fifteen = 2 * math.cos(math.radians(5)), math.radians(15)
    turned = math.degrees(math.atan((ten * math.cos(fifteen) - 1) / (ten * math.sin(fifteen))))
    expected = {"max": 270, "mean": 270 - turned}[objective]
    found = prototypes_of_unseen(KEY, prototypes, np.eye(5), weight=0.0, steps=300, triplets=1, objective=objective)
    assert math.degrees(math.atan2(found[4, 1], found[4, 0])) % 360 == pytest.approx(expected, abs=0.5)


def test_unseen_classes_find_their_place_and_seen_ones_stay(cifar100, joint_in_10_dims):
    words, seen = cifar100[0], joint_in_10_dims[:90]
    found = prototypes_of_unseen(KEY, seen, words, steps=300, triplets=4096)
    np.testing.assert_array_equal(found[:90], seen)
    assert found.shape == (100, 10)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    cosines = np.asarray(found @ found.T)
    random = RANDOM.standard_normal((10, 10)) @ np.asarray(seen).T
    taus = [kendalltau(words[i, :90], cosines[i, :90]).statistic for i in range(90, 100)]
    of_random = [kendalltau(words[90 + i, :90], random[i]).statistic for i in range(10)]
    assert np.mean(taus) > 0.36 > 0.15 > abs(np.mean(of_random))
    assert (cosines[90:] - np.eye(100)[90:]).max() < 0.4


def test_no_unseen_class_changes_nothing():
    np.testing.assert_array_equal(prototypes_of_unseen(KEY, PROTOTYPES, SIMILARITY), PROTOTYPES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranking_loss(PROTOTYPES, SIMILARITY[:, :6]), r"7 by 7 classes, got shape \(7, 6\)"),
        (lambda: triplets_held(PROTOTYPES[:6], SIMILARITY), r"6 by 6 classes, got shape \(7, 7\)"),
        (lambda: triplets_held(PROTOTYPES, np.zeros((7, 7))), "got the same value everywhere"),
        (lambda: quick(similarity=SIMILARITY[:5]), r"5 by 5 classes, got shape \(5, 7\)"),
        (lambda: quick(similarity=np.eye(2)), "at least 3 classes, got 2"),
        (lambda: quick(similarity=np.where(SIMILARITY > 3, np.nan, 1)), r"finite similarities, got \d+ that are not"),
        (lambda: quick(dims=1), "dims: expected at least 2, got 1"),
        (lambda: quick(steps=0), "steps: expected at least 1, got 0"),
        (lambda: quick(triplets=0), "triplets: expected at least 1, got 0"),
        (lambda: quick(weight=-1), "weight: expected at least 0, got -1"),
        (lambda: quick(temperature=0), "temperature: expected more than 0, got 0"),
        (lambda: sample_triplets(KEY, 2, 5), "classes: expected at least 3, got 2"),
        (
            lambda: prototypes_of_unseen(KEY, PROTOTYPES, SIMILARITY[:5, :5]),
            "7 seen classes and of others, got one of 5",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_objective_is_refused():
    with pytest.raises(UnknownNameError, match="no objective 'sum'; known: max, mean"):
        quick(objective="sum")
