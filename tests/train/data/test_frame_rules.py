"""Framing of every kind of field: each is where its image is, as Pillow, closed forms and coordinates drawn in say."""

import numpy as np
import pytest
from PIL import Image

from train.config import Data, RecipeError
from train.data import ArraySource, DataError, Facts, Field, Kind, OfFields, evaluation_batches, load
from train.data.frame_rules import FRAME, Crop, Move, Resize
from train.data.framing import Canvas, Framed, Windows
from train.data.source import generator

HEIGHT, WIDTH, MOST = 45, 60, 4
SIZE = (HEIGHT, WIDTH)
FACTS = Facts(ignore=-3)
SPEC = {
    "image": Field(Kind.IMAGE, (*SIZE, 3), "uint8"),
    "clip": Field(Kind.CLIP, (2, *SIZE, 1), "uint8"),
    "label_map": Field(Kind.LABEL_MAP, SIZE, "int32"),
    "map": Field(Kind.MAP, (*SIZE, 2), "float64"),
    "flow": Field(Kind.FLOW, (*SIZE, 2), "float32"),
    "normals": Field(Kind.NORMALS, (*SIZE, 3), "float32"),
    "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
    "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
    "masks": Field(Kind.MASKS, (None, *SIZE), "bool", (MOST,)),
    "keypoints": Field(Kind.KEYPOINTS, (None, 2, 3), "float32", (MOST,)),
    "tokens": Field(Kind.TOKENS, (None,), "int32", (MOST,)),
    "label": Field(Kind.LABEL, (), "int32"),
}
WINDOWS, CANVAS = Windows(24, 28), Canvas(40)


def example_of(random):
    """Filled boxes with a flow from the first to the second of their points; the map holds each pixel's x and y."""
    rows, columns = np.indices(SIZE)
    left, top = random.integers(0, (WIDTH - 9, HEIGHT - 9), (MOST, 2)).T
    boxes = np.stack([left, top, left + random.integers(5, 10, MOST), top + random.integers(5, 10, MOST)], axis=-1)
    inside = lambda start, at, end: (start[:, None, None] <= at) & (at < end[:, None, None])  # noqa: E731
    masks = inside(boxes[:, 0], columns, boxes[:, 2]) & inside(boxes[:, 1], rows, boxes[:, 3])
    points = random.uniform((0, 0), (WIDTH, HEIGHT), (MOST, 2, 2))
    flow = (points[0, 1] - points[0, 0]).astype(np.float32)
    normal = np.float32([0.36, 0.48, -0.8])
    return {
        "image": random.integers(0, 256, (*SIZE, 3), np.uint8),
        "clip": random.integers(0, 256, (2, *SIZE, 1), np.uint8),
        "label_map": random.integers(0, 9, SIZE).astype(np.int32),
        "map": np.stack([columns + 0.5, rows + 0.5], axis=-1),
        "flow": np.broadcast_to(flow, (*SIZE, 2)),
        "normals": np.broadcast_to(normal, (*SIZE, 3)),
        "boxes": boxes.astype(np.float32),
        "classes": np.arange(MOST, dtype=np.int32),
        "masks": masks,
        "keypoints": np.append(points, np.ones((MOST, 2, 1)), axis=-1).astype(np.float32),
        "tokens": np.arange(3, dtype=np.int32),
        "label": np.int32(5),
    }


class Several(ArraySource):
    """Three examples of every kind."""

    def __init__(self, spec=SPEC):
        self.name, self.spec, self.facts = "several", spec, FACTS

    def __len__(self):
        return 3

    def __getitem__(self, row):
        example = example_of(np.random.default_rng(row))
        return {name: example[name] for name in self.spec}

    def read(self, rows):
        return super(ArraySource, self).read(rows)

    def peek(self, row, field):
        assert field == "label", "only the label can be told without the rest"
        return 5


def framed(framing):
    """Each example, whole and framed, and the steps that were taken: at evaluation, and in two epochs."""
    source = Framed(Several(), framing)
    for row in range(3):
        whole, size = source.source[row], (WIDTH, HEIGHT)
        yield whole, source[row], Move(framing.still(*size), *size, FACTS)
        for epoch in range(2):
            (varied,) = source.variants([row], 7, epoch)
            yield whole, varied, Move(framing.drawn(*size, generator(7, epoch, row, 1)), *size, FACTS)


def by_pillow(image, steps, resampling, fill):
    for step in steps:
        if isinstance(step, Resize):
            image = image.resize(step, resampling)
        else:
            wide = Image.new(image.mode, (200, 200), fill)
            wide.paste(image, (0, 0))
            image = wide.crop(step)
    return np.asarray(image)


@pytest.mark.parametrize("framing", [WINDOWS, CANVAS])
def test_label_maps_and_masks_are_pillows_nearest_and_images_its_bilinear(framing):
    nearest, bilinear = Image.Resampling.NEAREST, Image.Resampling.BILINEAR
    for whole, found, move in framed(framing):
        expected = by_pillow(Image.fromarray(whole["label_map"]), move.steps, nearest, -3)
        np.testing.assert_array_equal(found["label_map"], expected)
        for number, mask in zip(found["classes"], found["masks"], strict=True):
            grey = Image.fromarray(whole["masks"][number].astype(np.uint8))
            np.testing.assert_array_equal(mask, by_pillow(grey, move.steps, nearest, 0) > 0)
        expected = by_pillow(Image.fromarray(whole["image"]), move.steps, bilinear, 0)
        np.testing.assert_array_equal(found["image"], expected)
        for one, other in zip(whole["clip"], found["clip"], strict=True):
            grey = Image.fromarray(np.repeat(one, 3, axis=-1))
            np.testing.assert_array_equal(other, by_pillow(grey, move.steps, bilinear, 0))


@pytest.mark.parametrize("framing", [WINDOWS, CANVAS])
def test_points_and_boxes_are_where_the_coordinates_drawn_into_a_map_are(framing):
    hidden = 0
    for whole, found, _ in framed(framing):
        # Of each pixel the map says where it came from: a line a side, but for Pillow's rounding of weights.
        columns, rows = found["map"][10, :, 0], found["map"][:, 10, 1]
        lines = [np.polyfit(np.arange(2, 22) + 0.5, line[2:22], 1) for line in (columns, rows)]
        scale, corner = np.transpose(lines)
        width, height = (24, 24) if framing is WINDOWS else (40, 40)
        for number, points, box in zip(found["classes"], found["keypoints"], found["boxes"], strict=True):
            expected = (whole["keypoints"][number, :, :2] - corner) / scale
            outside = ((expected < 0) | (expected > (width, height))).any(axis=1)
            np.testing.assert_allclose(points[~outside, :2], expected[~outside], atol=0.1)
            assert not points[outside].any()
            hidden += outside.sum()
            corners = (whole["boxes"][number].reshape(2, 2) - corner) / scale
            np.testing.assert_allclose(box.reshape(2, 2), np.clip(corners, 0, (width, height)), atol=0.1)
        lost = set(range(MOST)) - set(found["classes"].tolist())
        for number in lost:
            left, top, right, bottom = ((whole["boxes"][number].reshape(2, 2) - corner) / scale).ravel()
            assert right < 0.1 or bottom < 0.1 or left > width - 0.1 or top > height - 0.1
        assert lost == set() or framing is WINDOWS
    assert (hidden > 0) == (framing is WINDOWS)


@pytest.mark.parametrize("framing", [WINDOWS, CANVAS])
def test_a_lost_object_is_lost_in_all_fields_that_number_it(framing):
    counts = set()
    for _, found, _ in framed(framing):
        assert len(found["boxes"]) == len(found["classes"]) == len(found["masks"]) == len(found["keypoints"])
        counts.add(len(found["boxes"]))
        np.testing.assert_array_equal(found["tokens"], np.arange(3))  # as many may be there, they count no objects
        assert found["label"] == 5
    assert (len(counts) > 1) == (framing is WINDOWS)
    arrays = Framed(Several(), framing).varied([0, 1, 2], 7, 0)
    assert arrays["boxes"].shape == (3, MOST, 4)
    np.testing.assert_array_equal(arrays["boxes_valid"], arrays["masks_valid"])


@pytest.mark.parametrize("framing", [WINDOWS, CANVAS])
def test_flow_leads_to_where_the_framed_point_is_and_normals_are_as_before(framing):
    for whole, found, move in framed(framing):
        start, end = whole["keypoints"][0, :, :2]
        scale, shift = move.affine()
        moved = (end * scale + shift) - (start * scale + shift)
        known = ~np.isnan(found["flow"]).any(axis=-1)
        np.testing.assert_allclose(found["flow"][known], np.broadcast_to(moved, (known.sum(), 2)), rtol=1e-4)
        np.testing.assert_allclose(found["normals"][known] - [0.36, 0.48, -0.8], 0, atol=1e-6)
        assert known.all() or framing is CANVAS


def test_mixed_normals_have_length_one():
    normals = np.zeros((8, 8, 3), np.float32)
    normals[:, ::2, 0], normals[:, 1::2, 2] = 1, -1
    found = FRAME[Kind.NORMALS](normals, Move((Resize(4, 4),), 8, 8, FACTS))
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[1, 1], [0.5**0.5, 0, -(0.5**0.5)], atol=0.05)


def test_a_canvas_holds_the_whole_image_in_its_corner_and_knows_nothing_beside_it():
    for whole, found, move in framed(CANVAS):
        assert move.steps == (Resize(40, 30), Crop(0, 0, 40, 40))
        shown = Image.fromarray(whole["image"]).resize((40, 30), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(found["image"][:30], np.asarray(shown))
        for name, fill in {"image": 0, "clip": 0, "label_map": -3, "masks": 0, "map": np.nan, "flow": np.nan}.items():
            below = found[name][:, 30:] if name in ("clip", "masks") else found[name][30:]
            np.testing.assert_array_equal(below, np.full_like(below, fill), err_msg=name)
        np.testing.assert_allclose(found["boxes"], whole["boxes"] * 2 / 3, rtol=1e-6)
    upright = Canvas(40).still(30, 90)
    assert upright == (Resize(13, 40), Crop(0, 0, 40, 40))
    assert Canvas(40).still(1, 900)[0] == Resize(1, 40)


def test_what_the_spec_says_is_what_comes():
    for framing in (WINDOWS, CANVAS):
        source = Framed(Several(), framing)
        for name, value in source[0].items():
            shape, dtype = source.spec[name].shape, source.spec[name].dtype
            assert np.asarray(value).dtype == dtype, name
            assert all(want in (None, size) for want, size in zip(shape, np.shape(value), strict=True)), name
        assert source.spec["clip"].shape == (2, framing.side, framing.side, 3)
        assert source.varies == (framing is WINDOWS)
        assert source.peek(0, "label") == 5  # without the image


def test_an_image_among_other_fields_is_framed_as_alone():
    alone, together = (Framed(Several(spec), WINDOWS) for spec in ({"image": SPEC["image"]}, SPEC))
    for read in (lambda source: source.read([0, 1, 2]), lambda source: source.varied([2, 0], 3, 1)):
        np.testing.assert_array_equal(read(alone)["image"], read(together)["image"])


def test_a_kind_without_a_rule_is_refused(monkeypatch):
    monkeypatch.delitem(FRAME, Kind.FLOW)
    with pytest.raises(RecipeError, match=r"data\.crop: no rule for field 'flow' \(flow\)"):
        Framed(Several(), WINDOWS)
    with pytest.raises(RecipeError, match=r"data\.canvas: no rule for field 'flow' \(flow\)"):
        Framed(Several(), CANVAS)


def test_what_cannot_be_framed_is_refused():
    with pytest.raises(RecipeError, match=r"data\.canvas: expected a field of pixels, found label"):
        Framed(OfFields(Several(), ["label"]), CANVAS)
    torn = {"image": np.zeros((1, 5, 6, 3), np.uint8), "label_map": np.zeros((1, 6, 6), np.int32)}
    spec = {"image": Field(Kind.IMAGE, (5, 6, 3), "uint8"), "label_map": Field(Kind.LABEL_MAP, (6, 6), "int32")}
    with pytest.raises(DataError, match=r"torn, row 0: expected fields of one height and width, found .*'label_map'"):
        Framed(ArraySource("torn", torn, spec), CANVAS)[0]


def test_a_recipe_puts_scenes_on_a_canvas_and_cuts_windows_from_them():
    canvas, plain = load(Data("scenes", canvas=96), "test"), load(Data("scenes"), "test")
    batch = next(evaluation_batches(canvas, 4))
    assert batch["image"].shape == (4, 96, 96, 3)
    np.testing.assert_allclose(batch["boxes"], plain.read(range(4))["boxes"] * 1.5)
    windows = load(Data("scenes", crop=32, limit=10), "train")
    varied = windows.varied(range(4), seed=0, epoch=1)
    assert varied["masks"].shape == (4, 8, 32, 32)
    assert varied["boxes"].max() <= 32


def test_some_classes_of_images_of_any_size_are_cut_to_one(tmp_path):
    for name in ("ant", "bee", "cat"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.new("RGB", (20 + i, 30)).save(tmp_path / name / f"{i}.png")
    source = load(Data(f"folder:{tmp_path}", crop=12, classes=("cat", "ant")), "train")
    assert (len(source), source.facts.classes) == (8, ("cat", "ant"))
    np.testing.assert_array_equal(np.sort(source.varied(range(8), 0, 0)["label"]), [0] * 4 + [1] * 4)
