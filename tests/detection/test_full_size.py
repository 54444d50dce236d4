"""torchvision's two-stage detectors as they are published: names, shapes, numbers of parameters, and what they give.

The numbers were written by `goldens/write_full_size.py`; both sides draw their weights by torch's names.
"""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from tests.convnets.goldens import numbers
from tests.detection.goldens import full_size as made
from zoo.detection.faster_rcnn import View
from zoo.weights.detection import two_stage
from zoo.weights.rules import to_ours, to_theirs

GOLDENS = Path(__file__).parent / "goldens"
TOLERANCE = 1e-4
"""Of the largest magnitude."""
SAME_NAMES = {"fasterrcnn_mobilenet_v3_large_fpn": "fasterrcnn_mobilenet_v3_large_320_fpn"}
"""Detectors that differ in the size of their images alone."""


QUICK = ("fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn_v2")
"""Compared in shapes by default; the others, of the same parts, are slow."""


def some_slow(names):
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names]


def golden_of(name):
    with np.load(GOLDENS / f"{SAME_NAMES.get(name, name)}.npz") as file:
        return dict(file)


def variables_of(model):
    shapes = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, *made.SIZE, 3))), jax.random.key(0))
    return flatten_dict(shapes, sep="/")


@pytest.mark.parametrize("name", some_slow([*made.NAMES, *SAME_NAMES]))
def test_parameters_are_the_published_ones(name):
    golden, model = golden_of(name), zoo.create(name)
    shapes = variables_of(model)
    hollow = {path: np.broadcast_to(np.float32(0), leaf.shape) for path, leaf in shapes.items()}
    theirs, problems = to_theirs(two_stage(model), hollow)
    assert not problems
    assert {key: value.shape for key, value in theirs.items()} == numbers.shapes(golden["names"])

    count = sum(leaf.size for path, leaf in shapes.items() if path.startswith("params/"))
    if model.frozen_norm:  # scales and shifts that never learn are no parameters to torch
        count -= sum(leaf.size for path, leaf in shapes.items() if _is_frozen(path, shapes))
    assert count == golden["parameters"]


def _is_frozen(path, shapes):
    """Whether this is a scale or shift of a normalisation of the backbone."""
    layer = path.removeprefix("params/").rpartition("/")[0]
    return path.startswith("params/backbone/") and f"batch_stats/{layer}/mean" in shapes


OLD_NAMES = (
    (r"(fpn\.(?:inner|layer)_blocks\.\d)\.0\.", lambda found: f"{found[1]}."),
    (r"rpn\.head\.conv\.0\.0\.", lambda found: "rpn.head.conv."),
    (r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
)
"""What files of torchvision before 0.13 have, the published ones of the first versions among them."""


@pytest.mark.parametrize("name", [name for name in made.NAMES if not name.endswith("_v2")])
def test_older_files_have_the_same_arrays(name):
    shapes, old = numbers.shapes(golden_of(name)["names"]), {}
    for theirs, shape in shapes.items():
        for pattern, spelled in OLD_NAMES:
            theirs = re.sub(pattern, spelled, theirs)
        old[theirs] = np.broadcast_to(np.float32(0), shape)
    assert len(old) == len(shapes) > len(old.keys() & shapes.keys())
    family = two_stage(zoo.create(name))
    found, _, problems = to_ours(family, old)
    assert not problems
    back, _ = to_theirs(family, found)
    assert {key: value.shape for key, value in back.items()} == shapes


@pytest.mark.slow  # a program of a whole network each, 20 s to compile
@pytest.mark.parametrize("name", made.NUMBERED)
def test_every_part_and_every_detection_is_torchs(name):
    golden = golden_of(name)
    post = (made.PROPOSALS, made.PROPOSALS)
    options = {"rpn_score_thresh": made.LEAST, "box_score_thresh": made.LEAST, "box_detections_per_img": made.FOUND}
    model = zoo.create(name, rpn_post_nms_top_n=post, **options)
    drawn = {key: made.weight(key, shape) for key, shape in numbers.shapes(golden["names"]).items()}
    ours, _, problems = to_ours(two_stage(model), drawn)
    assert not problems
    variables = unflatten_dict(ours, sep="/")

    def parts(variables, images):
        bound = model.bind(variables)
        view = View(made.SIZE, None)
        maps, said = bound._proposed(images, view, False)
        decision = bound._decide(maps, jnp.asarray(golden["proposals"])[None], view, False)
        extra = None
        boxes = jnp.asarray(golden["found/boxes"])[None]
        if hasattr(bound, "mask_head"):
            extra = bound.mask_head(bound._regions(maps, boxes, model.mask_region, view, False))
        if hasattr(bound, "keypoint_head"):
            extra = bound.keypoint_head(bound._regions(maps, boxes, model.keypoint_region, view, False))
        return list(maps.values()), (said.logits, said.deltas), decision, extra, bound(images)

    images = made.image()[None].transpose(0, 2, 3, 1)
    maps, (rpn_logits, rpn_deltas), (logits, deltas), extra, found = jax.jit(parts)(variables, images)
    start, each = 0, rpn_logits.shape[1] // sum(x.shape[1] * x.shape[2] for x in maps)
    for level, value in enumerate(maps):
        close(f"map/{level}", channels_first(value), golden)
        rows, columns = value.shape[1:3]
        part = slice(start, start := start + each * rows * columns)
        close(f"rpn_logits/{level}", channels_first(rpn_logits[:, part].reshape(1, rows, columns, each)), golden)
        close(f"rpn_deltas/{level}", channels_first(rpn_deltas[:, part].reshape(1, rows, columns, -1)), golden)
    close("class_logits", logits[0], golden)
    close("box_deltas", deltas[0].reshape(len(golden["proposals"]), -1), golden)
    if extra is not None:
        close("extra", channels_first(extra), golden)

    count = len(golden["found/scores"])
    assert found.valid[0].sum() == count == made.FOUND
    assert found.labels[0].tolist() == golden["found/labels"].tolist()
    np.testing.assert_allclose(found.scores[0], golden["found/scores"], atol=1e-3)
    np.testing.assert_allclose(found.boxes[0], golden["found/boxes"], atol=1e-2)
    if found.keypoints is not None:
        np.testing.assert_allclose(found.keypoints[0], golden["found/keypoints"], atol=1e-2)


def channels_first(value):
    return np.asarray(value).transpose(0, 3, 1, 2)


def close(name, value, golden):
    expected = golden[name]
    off = np.abs(numbers.samples(name, np.asarray(value)) - expected).max() / expected[-1]
    assert off < TOLERANCE, f"{name}: off by {off:.1e} of the largest magnitude"
