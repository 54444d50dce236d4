"""Losses of label maps: torch's numbers, closed forms, and nothing where no pixel counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from zoo.dense import losses

random = np.random.default_rng(0)
LOGITS = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
LABELS = random.integers(0, 5, (2, 3, 4))
COUNTED = random.random((2, 3, 4)) < 0.7
CLASS_WEIGHTS = np.array([0.5, 1.0, 2.0, 0.0, 1.5], np.float32)
EVERY = (losses.cross_entropy, losses.hard_cross_entropy, losses.focal, losses.dice, losses.squared_error)

PLAIN = -np.take_along_axis(log_softmax(LOGITS.astype(np.float64), axis=-1), LABELS[..., None], axis=-1)[..., 0]
"""The cross entropy of each pixel, by scipy."""


@jax.jit
def measured(logits, labels, counted):
    """Loss and gradient of each."""

    def of(loss):
        def mean(logits):
            total, weight = loss(logits, labels, counted)
            return total / jnp.where(weight > 0, weight, 1)

        return jax.value_and_grad(mean)(logits)

    def weighted(*by):
        return losses.cross_entropy(*by, class_weights=jnp.asarray(CLASS_WEIGHTS))

    return {"weighted": of(weighted), **{loss.__name__: of(loss) for loss in EVERY}}


FOUND = jax.device_get(measured(LOGITS, LABELS, COUNTED))


# What torch 2.13 gives for these arrays: cross_entropy(..., ignore_index=255), without and with weight=.
@pytest.mark.parametrize(
    ("name", "loss", "gradients"), [("cross_entropy", 2.3462732, 1.7752759), ("weighted", 2.1588705, 1.7370808)]
)
def test_cross_entropy_is_torchs(name, loss, gradients):
    value, gradient = FOUND[name]
    assert value == pytest.approx(loss, rel=1e-5)
    assert np.abs(gradient).sum() == pytest.approx(gradients, rel=1e-5)


def test_hard_pixels_are_those_below_the_threshold_or_the_hardest():
    for threshold, least in ((0.7, 1 / 16), (0.05, 0.5), (1.0, 1.0)):
        total, weight = losses.hard_cross_entropy(LOGITS, LABELS, COUNTED, threshold, least)
        expected = []
        for plain, counted in zip(PLAIN, COUNTED, strict=True):
            descending = np.sort(plain[counted])[::-1]
            count = max(int(np.ceil(least * counted.sum())), np.count_nonzero(descending >= -np.log(threshold)))
            expected += [*descending[:count]]
        assert weight == len(expected)
        assert total == pytest.approx(sum(expected), rel=1e-5)
    with pytest.raises(ValueError, match=r"expected a threshold and a share in \(0, 1\], got 0 and 0.5"):
        losses.hard_cross_entropy(LOGITS, LABELS, COUNTED, 0, 0.5)


def test_focal_loss_of_two_classes_is_torchvisions_of_their_difference():
    logits = np.concatenate([np.zeros_like(LOGITS[..., :1]), LOGITS[..., :1]], axis=-1)
    total, weight = losses.focal(logits, (LABELS == 1).astype(int), COUNTED)
    assert total / weight == pytest.approx(0.24369398, rel=1e-5)  # sigmoid_focal_loss(..., alpha=-1, gamma=2), 0.28
    easy = np.float32([[[[200.0, 0.0]]]])
    value, gradient = jax.value_and_grad(
        lambda x: losses.focal(x, np.zeros((1, 1, 1), int), np.ones((1, 1, 1), bool))[0]
    )(easy)
    assert (value, np.abs(gradient).max()) == (0, 0)


def test_dice_is_that_of_each_class_that_an_image_has():
    expected = []
    for probabilities, labels, counted in zip(softmax(LOGITS, axis=-1), LABELS, COUNTED, strict=True):
        for label in np.unique(labels[counted]):
            p, t = probabilities[counted][:, label], labels[counted] == label
            expected.append(1 - 2 * (p * t).sum() / (p.sum() + t.sum()))
    total, weight = losses.dice(LOGITS, LABELS, COUNTED)
    assert weight == len(expected)
    assert total == pytest.approx(sum(expected), rel=1e-5)
    right = 100 * np.eye(5, dtype=np.float32)[LABELS]
    assert losses.dice(right, LABELS, COUNTED)[0] == pytest.approx(0, abs=1e-5)


def test_squared_error_is_the_slides():
    expected = np.square(LOGITS.astype(np.float64) - np.eye(5)[LABELS]).sum(axis=-1)[COUNTED].mean()
    assert FOUND["squared_error"][0] == pytest.approx(expected, rel=1e-5)


def test_pixels_that_do_not_count_have_no_gradient_whatever_their_label():
    strange = jax.device_get(measured(LOGITS, np.where(COUNTED, LABELS, 255), COUNTED))
    for name, (value, gradient) in FOUND.items():
        assert np.isfinite(gradient).all()
        assert np.abs(gradient[COUNTED]).max() > 0
        assert not gradient[~COUNTED].any()
        assert strange[name][0] == value, name
        np.testing.assert_array_equal(strange[name][1], gradient)


def test_where_nothing_counts_there_is_no_loss_and_no_gradient():
    found = measured(LOGITS, np.full_like(LABELS, -1), np.zeros_like(COUNTED))
    for loss in EVERY:
        assert [float(each) for each in loss(LOGITS, np.full_like(LABELS, -1), np.zeros_like(COUNTED))] == [0, 0]
    for value, gradient in found.values():
        assert value == 0
        assert not gradient.any()
