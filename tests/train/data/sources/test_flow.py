"""Pairs of frames with their flow, in the layouts of those who publish them."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.shared import shared
from train.config import Data
from train.data import DataError, Kind, load, load_both
from train.data.flow_files import flo_bytes, kitti_bytes
from train.data.sources.flow import flow, following

RANDOM = np.random.default_rng(0)
FLOW = RANDOM.normal(scale=2, size=(6, 8, 2)).astype(np.float32)


def frame(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(path)


def vectors(path, scale=1.0, write=flo_bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write(scale * FLOW))


def all_of(path, **options):
    splits = load_both(Data(f"flow:{path}", **options))
    return [example for source in splits for example in source.examples(range(len(source)))]


@pytest.mark.parametrize(
    "names", [("a{}_1.png", "a{}_2.png", "a{}.flo"), ("0{}_img1.ppm", "0{}_img2.ppm", "0{}_flow.flo")]
)
def test_triples_in_a_folder(tmp_path, names):
    for number in range(5):
        first, second, of = (name.format(number) for name in names)
        frame(tmp_path / first, 10 * number)
        frame(tmp_path / second, 10 * number + 1)
        vectors(tmp_path / of, number)
    train, test = load_both(Data(f"flow:{tmp_path}"))
    assert (len(train), len(test)) == (4, 1)
    assert {name: field.kind for name, field in train.spec.items()} == {
        "image": Kind.IMAGE,
        "second": Kind.IMAGE,
        "flow": Kind.FLOW,
    }
    for example in all_of(tmp_path):
        number = example["image"][0, 0, 0] / 10
        assert np.all(example["second"] == example["image"] + 1)
        np.testing.assert_array_equal(example["flow"], np.float32(number) * FLOW)


def test_frames_in_a_row_as_the_pair_of_sintel(tmp_path):
    for number in range(3, 7):
        frame(tmp_path / f"frame_000{number}.png", number)
    for number in range(3, 6):
        vectors(tmp_path / f"frame_000{number}.flo")
    found = all_of(tmp_path)
    assert sorted(int(example["image"][0, 0, 0]) for example in found) == [3, 4, 5]
    assert all(np.all(example["second"] == example["image"] + 1) for example in found)


def test_sintel_has_scenes_with_occlusions_and_what_is_invalid(tmp_path):
    root = tmp_path / "training"
    unseen, invalid = np.zeros((2, 6, 8), np.uint8)
    unseen[1, 2], invalid[3, 4] = 255, 255
    for scene in ("alley_1", "market_2"):
        for number in (1, 2, 3):
            frame(root / "clean" / scene / f"frame_000{number}.png", 50 * number + len(scene))
        for number in (1, 2):
            vectors(root / "flow" / scene / f"frame_000{number}.flo")
            for folder, marks in (("occlusions", unseen), ("invalid", invalid)):
                (root / folder / scene).mkdir(parents=True, exist_ok=True)
                Image.fromarray(marks).save(root / folder / scene / f"frame_000{number}.png")
    found = all_of(tmp_path, held_out=1)
    assert len(found) == 4
    for example in found:
        assert np.all(example["second"].astype(int) - example["image"] == 50)
        np.testing.assert_array_equal(example["occluded"], unseen > 0)
        np.testing.assert_array_equal(np.isnan(example["flow"]).all(axis=-1), invalid > 0)


def test_kitti_has_unknown_flow_and_what_is_occluded(tmp_path):
    unknown, visible = FLOW.copy(), FLOW.copy()
    unknown[0, 0] = visible[0, 0] = visible[2, 3] = np.nan
    for number in range(2):
        frame(tmp_path / "image_2" / f"00000{number}_10.png", 10 * number)
        frame(tmp_path / "image_2" / f"00000{number}_11.png", 10 * number + 1)
        for folder, values in (("flow_occ", unknown), ("flow_noc", visible)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"00000{number}_10.png").write_bytes(kitti_bytes(values))
    for example in all_of(tmp_path, held_out=1):
        assert np.all(example["second"] == example["image"] + 1)
        np.testing.assert_allclose(example["flow"], unknown, atol=1 / 128)
        assert np.argwhere(np.isnan(example["flow"]).any(axis=-1)).tolist() == [[0, 0]]
        assert np.argwhere(example["occluded"]).tolist() == [[0, 0], [2, 3]]


def test_pairs_of_several_sizes_want_windows(tmp_path):
    for number, size in enumerate([(6, 8), (7, 9), (6, 8)]):
        for which in (1, 2):
            Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / f"{number}_{which}.png")
        (tmp_path / f"{number}.flo").write_bytes(flo_bytes(np.ones((*size, 2))))
    with pytest.raises(DataError, match=r"1\.flo: expected 6x8 pixels .* found 7x9; cut windows"):
        flow(str(tmp_path), "train")
    source = load(Data(f"flow:{tmp_path}", crop=4), "train")
    example = source[0]
    assert example["image"].shape == example["second"].shape == (4, 4, 3)
    assert example["flow"].shape == (4, 4, 2)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        flow(str(tmp_path / "nowhere"), "train")
    with pytest.raises(DataError, match="expected pairs of frames with their flow, found none"):
        flow(str(tmp_path), "train")
    vectors(tmp_path / "a.flo")
    with pytest.raises(DataError, match=r"a\.flo: expected its frames a_1 and a_2, found neither"):
        flow(str(tmp_path), "train")
    vectors(tmp_path / "flow" / "scene" / "frame_0001.flo")
    with pytest.raises(DataError, match="expected frames in clean, final, albedo beside flow"):
        flow(str(tmp_path), "train")
    frame(tmp_path / "clean" / "scene" / "frame_0001.png", 0)
    with pytest.raises(DataError, match="expected the frame frame_0002"):
        flow(str(tmp_path), "train")


def test_next_frame_has_the_next_number():
    assert [following(name) for name in ("frame_0999", "9", "000000_10", "a")] == ["frame_1000", "10", "000000_11", ""]


def test_real_pair_of_sintel_is_what_opencv_reads():
    folder = shared("data", "flow", "sintel")
    source = flow(str(folder), "train")
    example = source[0]
    np.testing.assert_array_equal(example["flow"], cv2.readOpticalFlow(str(folder / "frame_0001.flo")))
    second = cv2.imread(str(folder / "frame_0002.png"))[..., ::-1]
    np.testing.assert_array_equal(example["second"], second)
