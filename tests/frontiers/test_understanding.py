"""What interventions change, counted by loops; squares that slide, and what they hide."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from zoo.frontiers import effect, occluded, squares

random = np.random.default_rng(0)


def test_an_effect_is_counted_example_by_example():
    before, after = random.standard_normal((2, 30, 4)).astype(np.float32)
    labels = random.integers(0, 4, 30)
    found = effect(before, after, labels)
    said, then = before.argmax(axis=1), after.argmax(axis=1)
    assert float(found.accuracy) == pytest.approx(sum(said == labels) / 30)
    assert float(found.changed_accuracy) == pytest.approx(sum(then == labels) / 30)
    assert float(found.same_answer) == pytest.approx(sum(said == then) / 30)
    lost = [softmax(a)[label] - softmax(b)[label] for a, b, label in zip(before, after, labels, strict=True)]
    assert float(found.lost) == pytest.approx(np.mean(lost), abs=1e-6)


def test_what_does_not_change_has_no_effect():
    logits, labels = random.standard_normal((5, 3)).astype(np.float32), jnp.zeros(5, int)
    found = effect(logits, logits, labels)
    assert (float(found.same_answer), float(found.lost)) == (1.0, 0.0)


def test_logits_of_other_images_are_refused():
    with pytest.raises(ValueError, match="the same images before and after"):
        effect(jnp.zeros((4, 3)), jnp.zeros((5, 3)), jnp.zeros(4, int))
    with pytest.raises(ValueError, match="a label for each"):
        effect(jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.zeros(3, int))


def test_squares_slide_over_every_pixel_and_end_at_the_border():
    masks = np.asarray(squares(7, 5, 3, 2))
    assert masks.shape == (3 * 2, 7, 5)
    expected = []
    for top in (0, 2, 4):
        for left in (0, 2):
            mask = np.zeros((7, 5), bool)
            mask[top : top + 3, left : left + 3] = True
            expected.append(mask)
    np.testing.assert_array_equal(masks, expected)
    assert np.asarray(squares(8, 8, 3, 2)).any(axis=0).all()  # 8 - 3 is no multiple of 2
    for side, step in ((0, 1), (6, 1), (2, 0)):
        with pytest.raises(ValueError, match="a side from 1 to 5"):
            squares(7, 5, side, step)


def test_hidden_pixels_are_filled_and_no_others():
    images = random.uniform(size=(2, 4, 4, 3)).astype(np.float32)
    masks = squares(4, 4, 2, 2)
    found = np.asarray(occluded(images[:1], masks, jnp.array([0.1, 0.2, 0.3])))
    for image, mask in zip(found, np.asarray(masks), strict=True):
        np.testing.assert_allclose(image[mask], np.tile([0.1, 0.2, 0.3], (4, 1)), rtol=1e-6)
        np.testing.assert_array_equal(image[~mask], images[0][~mask])


def test_hidden_pixels_of_other_images_are_refused():
    images = jnp.ones((2, 3, 4, 1))
    for hidden in (jnp.ones((3, 3), bool), jnp.ones(4, bool), jnp.ones((2, 3, 4, 1), bool)):
        with pytest.raises(ValueError, match="which of their pixels are hidden"):
            occluded(images, hidden)
    with pytest.raises(ValueError, match=r"expected images \(batch, height, width, channels\)"):
        occluded(images[0], jnp.ones((3, 4), bool))
    with pytest.raises(TypeError, match="as truth values, got float32"):
        occluded(images, jnp.ones((3, 4)))


def test_occlusion_finds_the_pixel_that_a_classifier_reads():
    def logits(images):
        return jnp.stack([images[:, 5, 2, 0], 0.5 + 0 * images[:, 0, 0, 0]], axis=-1)

    image = jnp.ones((1, 8, 8, 1))
    masks = squares(8, 8, 2, 1)
    labels = jnp.zeros(len(masks), int)
    fell = logits(image)[:, 0] - logits(occluded(image, masks))[:, 0]
    np.testing.assert_array_equal(np.asarray(fell) > 0, np.asarray(masks)[:, 5, 2])
    assert effect(jnp.tile(logits(image), (len(masks), 1)), logits(occluded(image, masks)), labels).same_answer < 1
