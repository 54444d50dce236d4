"""Two canvases: which images are on which, batches of one size, an order that follows from seed and step alone."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from train.config import Augment, Data, RecipeError
from train.data import GrainPipeline, OfFields, augment, load_both, make_pipeline
from train.data.pipeline.buckets import order_in_buckets

SIDE, SHORTER = 32, 20
WIDE, TALL = (SHORTER, SIDE), (SIDE, SHORTER)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Thirty images of many sizes, the eleven of them that are tall among the others; each has a box on the left."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    images, objects = [], []
    for i in range(30):
        width, height = sorted(random.integers(8, 60, 2).tolist(), reverse=i % 3 > 0)
        Image.new("RGB", (width, height), (i, 255, 255)).save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "height": height, "width": width})
        objects.append({"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, width / 2, height]})
    found = {"images": images, "categories": [{"id": 1, "name": "half"}], "annotations": objects}
    (folder / "all.json").write_text(json.dumps(found))
    return Data(f"coco:{folder / 'all.json'}", canvas=SIDE, shorter=SHORTER, two_canvases=True)


@pytest.fixture(scope="module")
def train(config):
    return load_both(config)[0]


def test_images_are_on_the_canvas_of_their_shape_and_the_test_is_on_the_square(config, train):
    assert set(np.unique(train.buckets)) == {0, 1}
    for row, bucket in enumerate(train.buckets):
        example = train[row]
        height, width = example["original_size"]
        assert bucket == (height > width)
        assert example["image"].shape[:2] == (TALL if bucket else WIDE)
        assert np.all(example["size"] <= example["image"].shape[:2])
        shown = example["image"][: example["size"][0], : example["size"][1], 1]
        assert (shown == 255).all()
        assert (example["image"][..., 1] == 255).sum() == shown.size
    test = load_both(config)[1]
    assert test.buckets is None
    assert test[0]["image"].shape == (SIDE, SIDE, 3)


def test_batches_are_of_one_size_and_most_rows_come_once_an_epoch(train):
    pipeline = make_pipeline(train, 5, seed=3)
    assert isinstance(pipeline, GrainPipeline)
    assert pipeline.steps_per_epoch == 4
    shapes = []
    for step in range(8):
        batch = pipeline.next()
        assert np.array_equal(batch["index"], pipeline.indices(step))
        assert len(set(train.buckets[batch["index"]])) == 1
        shapes.append(batch["image"].shape[1:3])
    assert set(shapes) == {WIDE, TALL}
    pipeline.close()


@pytest.mark.parametrize("wide", [0, 3, 4, 50, 97, 100])
def test_an_epoch_has_as_many_batches_as_without_buckets_and_each_bucket_has_its_share(wide):
    buckets = np.random.default_rng(0).permutation(np.repeat([0, 1], [wide, 100 - wide])).astype(np.int8)
    batches = order_in_buckets(7, 0, buckets.tobytes(), 8)
    assert batches.shape == (12, 8)
    assert all(len(set(buckets[batch])) == 1 for batch in batches)
    if min(wide, 100 - wide) >= 8 or wide in (0, 100):
        assert np.unique(batches, return_counts=True)[1].max() <= 2
    visits = np.zeros(100)
    for epoch in range(300):
        np.add.at(visits, order_in_buckets.__wrapped__(7, epoch, buckets.tobytes(), 8).ravel(), 1 / 300)
    for bucket in set(buckets):  # also the rarest: three images of a hundred
        assert visits[buckets == bucket].mean() == pytest.approx(0.96, abs=0.12)
    assert visits.min() > 0.7
    assert not np.array_equal(batches, order_in_buckets(7, 1, buckets.tobytes(), 8))
    assert not np.array_equal(batches, order_in_buckets(8, 0, buckets.tobytes(), 8))


def test_a_stream_goes_on_exactly_where_its_state_was_taken(train):
    first = GrainPipeline(train, 5, seed=1)
    expected = [first.next() for _ in range(11)]
    first.close()
    second = GrainPipeline(train, 5, seed=1)
    second.restore({"step": 6})
    for batch in expected[6:]:
        found = second.next()
        assert all(np.array_equal(found[name], batch[name]) for name in batch)
    second.close()


def test_two_processes_read_the_halves_of_one_batch(train):
    whole = GrainPipeline(train, 6, seed=1)
    halves = [GrainPipeline(train, 6, seed=1, process_index=i, process_count=2) for i in range(2)]
    for step in range(7):
        assert np.array_equal(whole.indices(step), np.concatenate([half.indices(step) for half in halves]))


def test_variations_compile_once_a_canvas_and_mirror_within_the_image(train):
    source = OfFields(train, ["image", "boxes", "size"])
    varied = jax.jit(augment(Augment(flip=True), source.spec, source.facts))
    pipeline = GrainPipeline(source, 5, seed=2)
    for step in range(12):
        batch = pipeline.next()
        after = varied(jax.random.key(step), batch)
        width = batch["size"][:, 1]
        left = np.asarray(after["boxes"])[:, 0, 0]
        assert np.all((np.abs(left) < 0.01) | (np.abs(left - (width - batch["boxes"][:, 0, 2])) < 0.01))
        image = np.asarray(after["image"])[..., 1]
        assert all(not image[i, :, width[i] :].any() for i in range(5))
    assert varied._cache_size() == 2
    pipeline.close()


def test_what_does_not_go_with_two_canvases_is_refused(config):
    with pytest.raises(RecipeError, match=r"out of range: data\.two_canvases=True"):
        Data(canvas=32, two_canvases=True)
    with pytest.raises(RecipeError, match=r"data\.two_canvases: expected data\.pipeline auto or grain, got memory"):
        Data(canvas=32, shorter=16, two_canvases=True, pipeline="memory")
    with pytest.raises(RecipeError, match=r"data\.two_canvases: expected a source that knows the sizes .* got digits"):
        load_both(Data("digits", canvas=32, shorter=16, two_canvases=True))
