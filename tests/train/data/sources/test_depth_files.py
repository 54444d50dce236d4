"""Depth files: each layout written by hand, and real frames of a room."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.shared import shared
from train.config import Data
from train.data import DataError, Kind, load, load_both
from train.data.sources.depth_files import Camera, depth_files_splits, normals_of
from zoo.dense.normals import angles, pinhole_normals

IMAGE = np.zeros((3, 4, 3), np.uint8)
DEPTH = np.array([[0, 1000, 1500, 65535], [500, 1000, 1500, 2000], [1, 2, 3, 65534]], np.uint16)
METRES = np.where(np.isin(DEPTH, (0, 65535)), np.nan, DEPTH / 1000).astype(np.float32)


def write(pixels, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def write_frames(root, count=5, depth=DEPTH):
    for i in range(count):
        write(IMAGE + i, root / f"frame-{i:06}.color.png")
        write(depth, root / f"frame-{i:06}.depth.png")
    return root


def test_frames_have_depth_in_metres_and_a_fifth_is_held_out(tmp_path):
    train, test = load_both(Data(f"depth:{write_frames(tmp_path)}"))
    assert (len(train), len(test), train.facts.unit) == (4, 1, "m")
    assert (train.spec["depth"].kind, train.spec["depth"].shape) == (Kind.MAP, (3, 4, 1))
    assert "normals" not in train.spec
    np.testing.assert_array_equal(train[0]["depth"][..., 0], METRES)
    assert sorted(int(each["image"][0, 0, 0]) for each in (*train.examples(range(4)), test[0])) == [0, 1, 2, 3, 4]


def test_depth_beside_images_may_be_of_another_scale_or_an_array_of_metres(tmp_path):
    for i in range(5):
        write(IMAGE, tmp_path / "images" / f"{i}.png")
    write(DEPTH, tmp_path / "depth" / "0.png")
    metres, known = METRES.copy(), METRES.copy()
    metres[2], known[2] = [-1, 0, np.inf, 3], [np.nan, np.nan, np.nan, 3]
    for i in range(1, 5):
        np.save(tmp_path / "depth" / f"{i}.npy", metres[..., None] if i == 1 else metres)
    (tmp_path / "depth-scale.txt").write_text("500\n")
    splits = depth_files_splits(str(tmp_path), held_out=1)
    whole = splits["train"].source
    np.testing.assert_allclose(whole[0]["depth"][..., 0], 2 * METRES)
    for row in (1, 2):
        np.testing.assert_array_equal(whole[row]["depth"][..., 0], known)


def test_camera_gives_normals_that_are_exact_of_planes(tmp_path):
    camera = Camera((50.0, 40.0), (9.0, 7.0))
    x, y = (np.arange(20) - 9.0) / 50, ((np.arange(16) - 7.0) / 40)[:, None]
    normal = np.array([0.3, -0.2, -0.933])
    depth = -2.0 * 0.933 / (normal[0] * x + normal[1] * y + normal[2])
    expected = np.broadcast_to(normal / np.linalg.norm(normal), (16, 20, 3))
    np.testing.assert_allclose(normals_of(depth, camera), expected, atol=1e-6)
    depth[5, 6] = np.nan
    unknown = np.argwhere(np.isnan(normals_of(depth, camera)).any(axis=-1)).tolist()
    assert unknown == [[4, 6], [5, 5], [5, 6], [5, 7], [6, 6]]
    write_frames(tmp_path)
    (tmp_path / "camera-intrinsics.txt").write_text("5 0 2\n0 5 1\n0 0 1\n")
    example = load(Data(f"depth:{tmp_path}"), "test")[0]
    np.testing.assert_array_equal(example["normals"], normals_of(METRES, Camera((5.0, 5.0), (2.0, 1.0))))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "frame-000001.depth.png").unlink(), "frame-000001.color.png: expected its depth as"),
        (lambda root: write(DEPTH[:2], root / "frame-000001.depth.png"), "expected 3x4 pixels (height x width) as"),
        (lambda root: (root / "depth-scale.txt").write_text("0"), "depth-scale.txt: expected a number of more than 0"),
        (lambda root: (root / "depth-scale.txt").write_text("mm"), "depth-scale.txt: expected numbers"),
        (lambda root: (root / "camera-intrinsics.txt").write_text("1 2"), "expected three rows of three numbers"),
        (lambda root: [file.unlink() for file in root.iterdir()], "or images in images/ and depth/, found neither"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(tmp_path, spoil, message):
    spoil(write_frames(tmp_path))
    with pytest.raises(DataError, match=re.escape(message)):
        load_both(Data(f"depth:{tmp_path}"))


def test_eight_bits_are_no_depth(tmp_path):
    source = load(Data(f"depth:{write_frames(tmp_path, depth=DEPTH.astype(np.uint8))}"), "train")
    with pytest.raises(DataError, match="expected 16 bits a pixel, found uint8"):
        source[0]


def test_arrays_of_several_and_images_too_thin_for_normals_are_refused(tmp_path):
    for name in ("images", "depth"):
        (tmp_path / name).mkdir()
    write(np.zeros((1, 6, 3), np.uint8), tmp_path / "images" / "a.png")
    with (tmp_path / "depth" / "a.npy").open("wb") as file:
        np.savez(file, METRES)
    with pytest.raises(DataError, match=r"a\.npy: expected one array, found several in one file"):
        load_both(Data(f"depth:{tmp_path}"))
    np.save(tmp_path / "depth" / "a.npy", np.ones((1, 6), np.float32))
    (tmp_path / "camera-intrinsics.txt").write_text("5 0 2\n0 5 1\n0 0 1\n")
    with pytest.raises(DataError, match=r"a\.npy: expected at least 2 x 2 pixels"):
        load_both(Data(f"depth:{tmp_path}"))


def test_frames_of_a_room_have_plausible_depth_and_normals():
    folder = shared("data", "rgbd")
    train, test = load_both(Data(f"depth:{folder}", crop=96, resize=120))
    assert (len(train), len(test)) == (20, 5)
    example = test[0]
    depth, normals = example["depth"][..., 0], example["normals"]
    assert (depth.shape, normals.shape) == ((96, 96), (96, 96, 3))
    known = np.isfinite(depth)
    assert known.mean() > 0.6
    assert 0.3 < depth[known].min() < depth[known].max() < 8  # metres, in a room
    both = known & np.isfinite(normals).all(axis=-1)
    np.testing.assert_allclose(np.linalg.norm(normals[both], axis=-1), 1, rtol=1e-4)
    assert np.mean(normals[both][:, 2] < 0) > 0.95  # they face the camera
    # The camera of the framed image: its focal length shrank with it, and so did the noise.
    found = np.asarray(pinhole_normals(depth, 585 * 120 / 480))
    off = np.asarray(angles(found, normals))
    assert np.median(off[np.isfinite(off)]) < 15
