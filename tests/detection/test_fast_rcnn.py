"""R-CNN and Fast R-CNN, which are given proposals: their losses beside loops, and what they say of odd ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.detection.boxes import iou
from zoo.detection.contract import Truth
from zoo.detection.warp import warped, with_context

of_both = pytest.mark.parametrize("name", [pytest.param("rcnn_tiny", marks=pytest.mark.slow), "fast_rcnn_tiny"])
"""One by default: a program or two each."""

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, 64, 64, 3)).astype(np.float32)
CORNERS = RANDOM.uniform(0, 40, (2, 32, 2))
PROPOSALS = np.concatenate([CORNERS, CORNERS + RANDOM.uniform(4, 24, (2, 32, 2))], axis=-1).astype(np.float32)
PROPOSALS[1, 20:] = 0  # fewer of the second image
BOXES = np.array([[[4, 4, 30, 30], [20, 10, 60, 50]], [[8, 30, 40, 60], [0, 0, 0, 0]]], np.float32)
TRUTH = Truth(BOXES, np.array([[1, 4], [7, 0]], np.int32), BOXES.any(axis=-1))


@functools.cache
def made(name, **options):
    model = zoo.create(name, box_score_thresh=0.0, **options)
    variables = jax.jit(model.init)(jax.random.key(0), IMAGES, PROPOSALS)

    def moved(x):
        return x + 0.1 * np.abs(RANDOM.standard_normal(x.shape)).astype(np.float32) if x.ndim == 1 else x

    return model, jax.tree.map(moved, variables)


@functools.cache
def stepped(name, **options):
    model, variables = made(name, **options)

    @jax.jit
    def step(proposals, truth):
        def loss(params):
            arguments = {**variables, "params": params}, IMAGES, proposals, truth, jax.random.key(1)
            terms, _ = model.apply(*arguments, method="losses", mutable=["batch_stats"])
            return sum(term.value() for term in terms.values()), terms

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    return step


@of_both
def test_detections_lie_in_the_image_and_come_of_proposals_alone(name):
    model, variables = made(name)
    detect = jax.jit(model.apply)
    found = detect(variables, IMAGES, PROPOSALS, jnp.array([[64, 64], [40, 50]]))
    assert found.boxes.shape == (2, 8, 4)
    assert found.valid.any()
    assert np.all((found.boxes >= 0) & (found.boxes <= 64))
    assert np.all(found.boxes[1] <= np.array([50, 40, 50, 40]))
    assert np.all(np.diff(found.scores) <= 0)
    assert not detect(variables, IMAGES, 0 * PROPOSALS, jnp.array([[64, 64], [40, 50]])).valid.any()
    reordered = detect(variables, IMAGES, PROPOSALS[:, ::-1].copy(), jnp.array([[64, 64], [40, 50]]))
    np.testing.assert_allclose(np.sort(reordered.scores), np.sort(found.scores), atol=1e-5)


@of_both
def test_losses_and_gradients_are_numbers_without_objects_and_without_proposals(name):
    nothing = Truth(0 * BOXES, np.zeros((2, 2), np.int32), np.zeros((2, 2), bool))
    for proposals, truth in (
        (PROPOSALS, TRUTH),
        (PROPOSALS, nothing),
        (0 * PROPOSALS, TRUTH),
        (0 * PROPOSALS, nothing),
    ):
        (value, terms), gradients = stepped(name)(proposals, truth)
        assert terms.keys() == {"class", "box"}
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
        assert bool(terms["box"].total > 0) == (truth is TRUTH)


@pytest.mark.slow  # a program of its own
def test_a_support_vector_machine_learns_from_objects_and_its_hardest_negatives():
    model, variables = made("rcnn_tiny", hard_negatives=3, box_batch_size_per_image=80)  # all are drawn
    arguments = IMAGES, PROPOSALS, TRUTH, jax.random.key(1)
    terms = jax.jit(lambda v: model.apply(v, *arguments, method="losses", train=False))(variables)
    boxes = np.concatenate([PROPOSALS, BOXES], axis=1)
    real = np.concatenate([(PROPOSALS[..., 2:] > PROPOSALS[..., :2]).all(-1), TRUTH.valid], axis=1)
    crops = warped(IMAGES, with_context(boxes, 16, 2), 16).reshape(-1, 16, 16, 3)
    vectors = jax.jit(model.backbone.apply)({key: tree["backbone"] for key, tree in variables.items()}, crops)
    layer = variables["params"]["logits"]
    scores = (vectors @ layer["kernel"] + layer["bias"]).reshape(2, -1, 11)
    overlaps = np.asarray(iou(boxes, BOXES))
    total, count = 0.0, 0
    for k in range(1, 11):
        wrong = []
        for image in range(2):
            for region in np.flatnonzero(real[image]):
                of_class = TRUTH.valid[image] & (TRUTH.labels[image] == k)
                most = max(overlaps[image, region, of_class], default=0.0)
                if most >= 0.99:
                    total, count = total + max(0.0, 1 - float(scores[image, region, k])), count + 1
                elif most < 0.3:
                    wrong.append(max(0.0, 1 + float(scores[image, region, k])))
        total, count = total + sum(sorted(wrong)[-3:]), count + len(wrong[:3])
    np.testing.assert_allclose(terms["class"].weight, count)
    np.testing.assert_allclose(terms["class"].total, total, rtol=1e-3)


@pytest.mark.slow  # a program or two more
def test_with_softmax_it_learns_as_fast_rcnn_does():
    model, variables = made("rcnn_tiny", classifier="softmax")
    found = jax.jit(model.apply)(variables, IMAGES, PROPOSALS)
    assert np.all(found.scores < 1)
    (value, terms), _ = stepped("rcnn_tiny", classifier="softmax")(PROPOSALS, TRUTH)
    assert terms["class"].weight == 32  # sixteen regions an image
    assert np.isfinite(value)
    with pytest.raises(ValueError, match="expected a classifier of svm, softmax, got 'tree'"):
        zoo.create("rcnn_tiny", classifier="tree").init(jax.random.key(0), IMAGES, PROPOSALS)


@pytest.mark.slow  # a program or two more
def test_fast_rcnn_takes_background_that_overlaps_an_object():
    few = {"box_batch_size_per_image": 64}
    far = made("fast_rcnn_tiny", box_bg_least_iou=0.0, **few)
    near = made("fast_rcnn_tiny", **few)
    count = {}
    for key, (model, variables) in {"far": far, "near": near}.items():
        losses = functools.partial(model.apply, method="losses", train=False)
        terms = jax.jit(losses)(variables, IMAGES, PROPOSALS, TRUTH, jax.random.key(1))
        count[key] = float(terms["class"].weight)
    boxes = np.concatenate([PROPOSALS, BOXES], axis=1)
    real = np.concatenate([(PROPOSALS[..., 2:] > PROPOSALS[..., :2]).all(-1), TRUTH.valid], axis=1)
    most = np.where(TRUTH.valid[:, None], np.asarray(iou(boxes, BOXES)), 0).max(axis=-1)
    assert count["far"] == real.sum()
    assert count["near"] == (real & (most >= 0.1)).sum() < real.sum()


@pytest.mark.slow  # a program each
@pytest.mark.parametrize("pooling", ["pool", "align"])
def test_the_pooling_is_a_choice(pooling):
    model, variables = made("fast_rcnn_tiny", pooling=pooling)
    assert jax.jit(model.apply)(variables, IMAGES, PROPOSALS).valid.any()
    with pytest.raises(ValueError, match="expected pooling of pool or align, got 'mean'"):
        zoo.create("fast_rcnn_tiny", pooling="mean").init(jax.random.key(0), IMAGES, PROPOSALS)
    with pytest.raises(ValueError, match=r"expected proposals of shape \(2, n, 4\), got \(1, 32, 4\)"):
        model.apply(variables, IMAGES, PROPOSALS[:1])


def test_the_papers_networks_have_the_heads_of_their_backbones():
    fast = zoo.create("fast_rcnn_vgg16")
    shapes = jax.eval_shape(lambda key: fast.init(key, IMAGES, PROPOSALS), jax.random.key(0))["params"]
    vgg = jax.eval_shape(zoo.create("vgg16").init, jax.random.key(0), jnp.zeros((1, 224, 224, 3)))["params"]
    assert set(shapes["backbone"]) == {f"stage{i}" for i in range(1, 6)}
    for layer in ("dense1", "dense2"):
        assert jax.tree.map(jnp.shape, shapes["box_head"][layer]) == jax.tree.map(jnp.shape, vgg[layer])
    rcnn = zoo.create("rcnn_alexnet")
    shapes = jax.eval_shape(lambda key: rcnn.init(key, IMAGES, PROPOSALS), jax.random.key(0))["params"]
    assert shapes["logits"]["kernel"].shape == (4096, 21)
