"""A detector of one object a cell: what is encoded decodes to itself, and the loss is the paper's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.detection import Cells, GridDetector, decode, encode, losses, scores
from zoo.nn import Conv

STRIDE, GRID = 8, (3, 4)
"""An image of 24 x 32."""
BOXES = np.array(
    [[1.0, 2.0, 9.0, 12.0], [20.0, 0.0, 32.0, 24.0], [3.0, 17.0, 6.0, 23.0], [0.0, 0.0, 0.0, 0.0]], np.float32
)
LABELS, REAL = np.array([3, 1, 2, 0], np.int32), np.array([True, True, True, False])
CELLS = [(0, 0), (1, 3), (2, 0)]
"""Row and column of the centre of each."""


class Backbone(nn.Module):
    """A map of half the image's size."""

    @nn.compact
    def __call__(self, images, train=False, features=False):
        return {"stage1": Conv(4, (3, 3), 2, 1, name="conv")(images)}


random = np.random.default_rng(0)
SAID = Cells(*(random.normal(size=(*GRID, *rest)).astype(np.float32) for rest in ((), (4,), (6,))))
ENCODE = jax.jit(lambda boxes, labels, real: encode(boxes, labels, real, GRID, STRIDE))
DECODE = jax.jit(lambda box: decode(box, STRIDE))


def right():
    return jax.device_get(ENCODE(BOXES, LABELS, REAL))


def test_each_object_is_in_the_cell_of_its_centre():
    cells = right()
    assert sorted(zip(*np.nonzero(cells.object), strict=True)) == sorted(CELLS)
    assert [int(cells.label[cell]) for cell in CELLS] == [3, 1, 2]


def test_decoding_is_the_inverse_of_encoding():
    boxes = DECODE(right().box)
    for cell, box in zip(CELLS, BOXES, strict=False):
        np.testing.assert_allclose(boxes[cell], box, atol=1e-4)


def test_first_object_has_the_cell_and_the_last_row_has_what_is_on_its_border():
    boxes = np.array([[2.0, 2.0, 4.0, 4.0], [0.0, 0.0, 8.0, 8.0], [30.0, 22.0, 34.0, 26.0]], np.float32)
    cells = ENCODE(boxes, np.array([5, 6, 7], np.int32), np.ones(3, bool))
    assert (int(cells.label[0, 0]), int(cells.object.sum())) == (5, 2)
    assert int(cells.label[2, 3]) == 7


def test_image_without_objects_has_empty_cells_alone():
    cells = ENCODE(BOXES, LABELS, np.zeros(4, bool))
    assert not np.asarray(cells.object).any()
    assert np.isfinite(np.asarray(cells.box)).all()


def test_boxes_that_are_said_to_be_larger_than_the_image_end_with_it_and_negative_roots_are_empty():
    said = np.zeros((*GRID, 4), np.float32)
    said[0, 0], said[1, 1] = (0.5, 0.5, 9, 9), (0.5, 0.5, -1, -2)
    boxes = DECODE(said)
    assert boxes[0, 0].tolist() == [0, 0, 32, 24]
    assert boxes[1, 1].tolist() == [12, 12, 12, 12]


def test_loss_is_five_times_the_boxes_and_half_of_the_empty_cells():
    cells, expected = right(), 0.0
    for cell in np.ndindex(GRID):
        logit, label = SAID.object[cell].astype(np.float64), SAID.label[cell].astype(np.float64)
        if cell in CELLS:
            expected += np.logaddexp(0, -logit) + np.logaddexp.reduce(label) - label[cells.label[cell]]
            expected += 5 * np.sum((SAID.box[cell] - cells.box[cell]) ** 2)
        else:
            expected += 0.5 * np.logaddexp(0, logit)
    assert float(jax.jit(losses)(SAID, cells)) == pytest.approx(expected, rel=1e-5)


def test_score_is_the_probability_of_an_object_of_the_likeliest_class():
    said = Cells(np.zeros((1, 1)), np.zeros((1, 1, 4)), np.log([[[0.2, 0.7, 0.1]]]))
    score, label = jax.jit(scores)(said)
    assert (float(score[0, 0]), int(label[0, 0])) == (pytest.approx(0.35), 1)


def test_gradients_are_finite_also_of_objects_without_a_size_and_of_images_without_objects():
    flat = BOXES.copy()
    flat[:, 2:] = flat[:, :2]
    gradient = jax.jit(jax.grad(lambda said, right: losses(said, right)))
    for boxes, real in ((flat, REAL), (BOXES, np.zeros(4, bool))):
        found = gradient(SAID, ENCODE(boxes, LABELS, real))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(found)))


def test_images_and_backbones_that_have_no_such_grid_are_refused():
    shape = jax.ShapeDtypeStruct((1, 20, 32, 1), jnp.float32)
    with pytest.raises(ValueError, match="multiple of 8 pixels"):
        jax.eval_shape(GridDetector(Backbone(), 6).init, jax.random.key(0), shape)
    shape = jax.ShapeDtypeStruct((1, 24, 32, 1), jnp.float32)
    with pytest.raises(ValueError, match="at least 24 x 32 places, found stage1 12 x 16"):
        jax.eval_shape(GridDetector(Backbone(), 6, stride=1).init, jax.random.key(0), shape)


def test_exported_program_serves_batches_of_any_size():
    model = GridDetector(Backbone(), 6, width=4)
    images = random.normal(size=(3, 24, 32, 1)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = jax.tree.map(lambda leaf: random.uniform(0.1, 1, leaf.shape).astype(np.float32), shapes)
    exported = zoo.export_model(model, variables, images.shape[1:], platforms=("cpu",))
    exported = jax.export.deserialize(exported.serialize())
    expected = jax.jit(model.apply)(variables, images)
    for count in (1, 3):
        for found, whole in zip(exported.call(variables, images[:count]), expected, strict=True):
            np.testing.assert_allclose(found, whole[:count], rtol=1e-4, atol=1e-4)
