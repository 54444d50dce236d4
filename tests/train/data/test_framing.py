"""Framing: torchvision's windows and Pillow's pixels, the same however they are read, from sources of any kind."""

import json

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from tests.train.data.tfds_files import png
from tests.train.data.tfds_files import write as write_tfds
from train.config import Data
from train.data import DataError, GrainPipeline, evaluation_batches, load, make_pipeline
from train.data.frame_rules import bilinear
from train.data.framing import Framed, Windows, random_window
from train.data.pipeline.grain import read_ahead
from train.data.source import generator
from zoo.catalog.pretrained import Preprocessing
from zoo.preprocessing import transform

SIZES = ((40, 30), (30, 40), (33, 57), (64, 21), (36, 36), (25, 25))
FRAMING = Windows(side=24, resize=28)
FRAMED = {"crop": 24, "eval_crop": 24, "resize": 28}
"""The same in a recipe, at evaluation; in training the windows alone count."""

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
TORCHVISION_AREA = (0.150, 0.255, 0.424, 0.594, 0.737)
TORCHVISION_ASPECT = (0.812, 0.901, 1.051, 1.190, 1.274)
"""Of 20,000 draws of torchvision 0.28's RandomResizedCrop.get_params for an image of 500 x 375."""


def picture(seed, size):
    """A picture of (width, height) with edges at every scale."""
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(np.where(np.arange(height)[:, None, None] % 7 < 4, noise, 255 - noise).astype(np.uint8))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with ImageNet's layout: train/CLASS and val/CLASS, JPEG files of all sizes, one of them grey."""
    root = tmp_path_factory.mktemp("imagenet")
    for split, count in (("train", 6), ("val", 3)):
        for c, name in enumerate(("n01440764", "n01443537")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                image = picture(10 * c + i, SIZES[(c + i) % len(SIZES)])
                image = image.convert("L") if i == 1 else image
                image.save(root / split / name / f"{name}_{i}.JPEG", quality=95)
    return root


@pytest.fixture
def train(root):
    return framed(f"folder:{root}")


def framed(name, data_dir=None, framing=FRAMING, **config):
    """The training examples of a source, which the recipe would frame otherwise when it evaluates."""
    source = load(Data(name, data_dir, crop=24, **config), "train")
    return Framed(source.source, framing)


def torchvisions(count, seed=0):
    """Shares of the area and logarithms of the aspect as the definition has them, for an image of 500 x 375.

    Both uniform, and again when the window, w^2 = share * aspect * 500 * 375 and h^2 = share / aspect * 500 * 375,
    is wider or higher than the image.
    """
    random = np.random.default_rng(seed)
    share, log_aspect = random.uniform(0.08, 1, 2 * count), random.uniform(np.log(3 / 4), np.log(4 / 3), 2 * count)
    fits = (share * np.exp(log_aspect) * 375 <= 500) & (share / np.exp(log_aspect) * 500 <= 375)
    return share[fits][:count], log_aspect[fits][:count]


def test_random_windows_are_distributed_as_those_of_torchvision():
    windows = np.array([random_window(500, 375, 0.08, generator(seed)) for seed in range(4000)])
    left, top, right, bottom = windows.T
    assert np.all((left >= 0) & (top >= 0) & (right <= 500) & (bottom <= 375))
    width, height = right - left, bottom - top
    share, log_aspect = torchvisions(40_000)
    assert scipy.stats.ks_2samp(width * height / (500 * 375), share).pvalue > 0.01
    assert scipy.stats.ks_2samp(np.log(width / height), log_aspect).pvalue > 0.01
    # Where a window lies is uniform too.
    for free, at in ((500 - width, left), (375 - height, top)):
        wide = free > 20
        assert scipy.stats.kstest((at[wide] + 0.5) / (free[wide] + 1), "uniform").pvalue > 0.01
    np.testing.assert_allclose(np.quantile(width * height / (500 * 375), QUANTILES), TORCHVISION_AREA, atol=0.02)
    np.testing.assert_allclose(np.quantile(width / height, QUANTILES), TORCHVISION_ASPECT, atol=0.02)


@pytest.mark.parametrize(
    ("size", "box"),
    [((400, 100), (133, 100)), ((100, 400), (100, 133)), ((120, 100), (120, 100))],
)
def test_where_no_window_fits_it_is_the_largest_central_one_of_an_allowed_aspect(size, box):
    class Largest:
        """Draws the whole area and the most extreme aspect, which never fit."""

        def uniform(self, low, high):
            return high if size[1] > size[0] else (low if low < 0 else high)

    window = random_window(*size, 0.08, Largest())
    assert (window.right - window.left, window.bottom - window.top) == box
    assert abs(window.left + window.right - size[0]) <= 1
    assert abs(window.top + window.bottom - size[1]) <= 1


@pytest.mark.parametrize("size", [*SIZES, (500, 375), (28, 300)])
@pytest.mark.parametrize(("resize", "side"), [(28, 24), (24, 24), (37, 20)])
def test_evaluation_sees_what_the_transform_of_published_weights_sees(size, resize, side):
    image = picture(3, size)
    found = Windows(side, resize).picture(image)
    expected = transform(Preprocessing(resize, side, "bilinear", (0.0,) * 3, (1.0,) * 3), image)
    np.testing.assert_array_equal(found, np.rint(255 * expected))


def test_a_window_is_cut_before_it_is_resized_as_pillow_does():
    image = picture(4, (60, 45))
    found = bilinear(image, FRAMING.drawn(60, 45, generator(9)))
    box = random_window(60, 45, 0.08, generator(9))
    expected = image.crop(box).resize((24, 24), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(expected))
    assert (found.shape, found.dtype) == ((24, 24, 3), np.uint8)


def test_a_folder_of_images_of_any_size_and_mode_becomes_squares_in_colour(root, train):
    assert (len(train), train.spec["image"].shape) == (12, (24, 24, 3))
    assert train.facts.classes == ("n01440764", "n01443537")
    arrays = train.arrays()
    assert arrays["image"].shape == (12, 24, 24, 3)
    np.testing.assert_array_equal(arrays["label"], [0] * 6 + [1] * 6)
    assert (arrays["label"].dtype, train.peek(7, "label")) == (np.int32, 1)
    file = root / "train" / "n01440764" / "n01440764_2.JPEG"
    with Image.open(file) as image:
        np.testing.assert_array_equal(arrays["image"][2], FRAMING.picture(image.convert("RGB")))
    assert np.ptp(arrays["image"][1].astype(int), axis=-1).max() == 0  # the grey one
    test = load(Data(f"folder:{root}", crop=12, eval_crop=16, resize=20), "test")
    assert (len(test), test.spec["image"].shape) == (6, (16, 16, 3))


def test_without_framing_images_of_several_sizes_are_refused(root):
    with pytest.raises(DataError, match="resize all images to one size first"):
        load(Data(f"folder:{root}"), "train")


def test_a_limit_and_framing_go_together(root):
    few = load(Data(f"folder:{root}", limit=4, crop=24), "train")
    assert few.varies
    np.testing.assert_array_equal(np.bincount(few.arrays()["label"]), [2, 2])


def test_small_images_of_one_size_can_be_framed_too(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "a.npz", image=images, label=np.arange(5) % 2)
    source = load(Data(f"npz:{tmp_path}/a.npz", crop=16), "train")
    assert source[0]["image"].shape == (16, 16, 3)
    same = load(Data(f"npz:{tmp_path}/a.npz", crop=8), "train")
    plain = load(Data(f"npz:{tmp_path}/a.npz"), "train").arrays()
    np.testing.assert_array_equal(same.arrays()["image"], np.repeat(plain["image"], 3, axis=-1))
    np.testing.assert_array_equal(same.arrays()["label"], plain["label"])


def test_a_tfds_set_of_images_of_any_size_is_framed(tmp_path):
    images = [picture(i, size) for i, size in enumerate(SIZES[:4])]
    write_tfds(tmp_path, shape=(None, None, 3), images=[png(np.asarray(image)) for image in images])
    with pytest.raises(DataError, match=r"cut them to one with --data\.crop"):
        load(Data("tfds:tiny", str(tmp_path)), "train")
    source = framed("tfds:tiny", str(tmp_path))
    arrays = source.arrays()
    np.testing.assert_array_equal(arrays["image"], [FRAMING.picture(image) for image in images])
    np.testing.assert_array_equal(arrays["label"], [0, 1, 2, 1])
    assert source.peek(2, "label") == 2
    write_tfds(tmp_path / "wrong", shape=(None, None, 3), images=[b"not an image"] * 4)
    with pytest.raises(DataError, match="tfds:tiny, train row 0: expected a readable image"):
        framed("tfds:tiny", str(tmp_path / "wrong"))[0]


def test_windows_are_a_function_of_seed_epoch_and_row(train):
    rows = np.array([3, 1, 8], np.int32)
    first = train.varied(rows, seed=5, epoch=2)
    np.testing.assert_array_equal(first["label"], [0, 0, 1])
    alone = train.varied(rows[1:], seed=5, epoch=2)
    np.testing.assert_array_equal(first["image"][1:], alone["image"])
    for seed, epoch in ((6, 2), (5, 3)):
        other = train.varied(rows, seed=seed, epoch=epoch)
        assert all(np.any(a != b) for a, b in zip(first["image"], other["image"], strict=True))


def test_a_stream_of_windows_goes_on_exactly_where_its_state_was_taken_with_workers_and_without(train):
    plain = GrainPipeline(train, 5, seed=4)
    assert plain.steps_per_epoch == 2
    expected = [plain.next() for _ in range(9)]
    seen = np.stack([batch["index"] for batch in expected[:8]]).reshape(4, 10)
    for step, batch in enumerate(expected):
        again = train.varied(batch["index"], seed=4, epoch=step // 2)
        np.testing.assert_array_equal(batch["image"], again["image"])
    assert all(len(set(epoch)) == 10 for epoch in seen)
    plain.restore(json.loads(json.dumps({"step": 3})))
    working = GrainPipeline(train, 5, seed=4, workers=1)
    working.restore({"step": 3})
    for batch in expected[3:]:
        for pipeline in (plain, working):
            found = pipeline.next()
            assert all(found[name].tobytes() == batch[name].tobytes() for name in batch)
    plain.close()
    working.close()


def test_two_processes_read_the_two_halves_of_the_batch_of_one(train):
    whole = GrainPipeline(train, 6, seed=1).next()
    halves = [GrainPipeline(train, 6, seed=1, process_index=i, process_count=2).next() for i in range(2)]
    for name in whole:
        np.testing.assert_array_equal(np.concatenate([half[name] for half in halves]), whole[name])


def test_windows_are_read_anew_each_epoch_however_small_the_set(train):
    assert isinstance(make_pipeline(train, 4, 0), GrainPipeline)
    with pytest.raises(ValueError, match="expected pipeline grain, got memory"):
        make_pipeline(train, 4, 0, "memory")


def test_evaluation_that_is_read_ahead_is_the_same(root, monkeypatch):
    asked = []

    def by_threads(batches, workers):
        asked.append(workers)
        return read_ahead(batches, workers=0)  # workers are tested above

    monkeypatch.setattr("train.data.pipeline.evaluation.read_ahead", by_threads)
    test = load(Data(f"folder:{root}", **FRAMED), "test")
    plain, ahead = (list(evaluation_batches(test, 4, workers)) for workers in (0, 3))
    assert (len(plain), len(ahead), asked) == (2, 2, [3])
    for one, other in zip(plain, ahead, strict=True):
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)
