"""Files of flow, byte for byte those of others, and damaged ones."""

import struct

import cv2
import numpy as np
import pytest

from tests.shared import shared
from train.config import DataError
from train.data.flow_files import flo_bytes, flow_size, kitti_bytes, read_flo, read_flow, read_kitti

FLOW = np.random.default_rng(0).normal(scale=30, size=(5, 7, 2)).astype(np.float32)
UNKNOWN = FLOW.copy()
UNKNOWN[1, 2] = np.nan


def test_flo_is_byte_for_byte_that_of_opencv(tmp_path):
    file = tmp_path / "a.flo"
    assert cv2.writeOpticalFlow(str(file), FLOW)
    assert flo_bytes(FLOW) == file.read_bytes()
    np.testing.assert_array_equal(read_flo(file), FLOW)
    assert flow_size(file) == (5, 7)


def test_flo_of_sintel_is_read_as_opencv_reads_it():
    file = shared("data", "flow", "sintel", "frame_0001.flo")
    flow = read_flow(file)
    np.testing.assert_array_equal(flow, cv2.readOpticalFlow(str(file)))
    assert flow.shape == (436, 1024, 2)
    assert flo_bytes(flow) == file.read_bytes()


def test_unknown_flow_of_a_flo_is_huge_in_the_file_and_nan_here(tmp_path):
    file = tmp_path / "a.flo"
    file.write_bytes(flo_bytes(UNKNOWN))
    assert np.all(cv2.readOpticalFlow(str(file))[1, 2] == np.float32(1e10))
    np.testing.assert_array_equal(read_flo(file), UNKNOWN)
    file.write_bytes(flo_bytes(UNKNOWN).replace(np.float32(1e10).tobytes(), np.float32(-2e9).tobytes()))
    np.testing.assert_array_equal(read_flo(file), UNKNOWN)


def test_kitti_is_what_opencv_reads_and_writes(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(kitti_bytes(UNKNOWN))
    blue, green, red = np.moveaxis(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), -1, 0)
    known = ~np.isnan(UNKNOWN[..., 0])
    np.testing.assert_array_equal(blue, known)
    np.testing.assert_array_equal(red[known], np.rint(64 * UNKNOWN[known, 0].astype(float) + 2**15))
    np.testing.assert_array_equal(green[known], np.rint(64 * UNKNOWN[known, 1].astype(float) + 2**15))
    read = read_flow(file)
    np.testing.assert_array_equal(np.isnan(read), np.isnan(UNKNOWN))
    np.testing.assert_allclose(read, UNKNOWN, atol=1 / 128)
    assert flow_size(file) == (5, 7)
    other = tmp_path / "b.png"  # with the filters that libpng chooses
    pixels = np.random.default_rng(1).integers(0, 2**16, (40, 50, 3), np.uint16).cumsum(axis=1, dtype=np.uint16)
    cv2.imwrite(str(other), pixels)
    expected = (pixels[..., 2:0:-1].astype(np.float32) - 2**15) / 64
    expected[pixels[..., 0] == 0] = np.nan
    np.testing.assert_array_equal(read_kitti(other), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with PIEH"),
        (b"PIEX" + bytes(20), "found b'PIEX'"),
        (b"PIEH" + struct.pack("<ii", 0, 4), "found 0 x 4"),
        (b"PIEH" + struct.pack("<ii", -3, 4), "found -3 x 4"),
        (flo_bytes(FLOW)[:-1], "expected 292 bytes, of 7 x 5 vectors, found 291"),
        (flo_bytes(FLOW) + b"x", "found 293"),
        (b"PIEH" + struct.pack("<ii", 2**30, 2**30), "1073741824 x 1073741824 vectors, found 12"),
    ],
)
def test_damaged_flo_is_refused(content, message, tmp_path):
    file = tmp_path / "a.flo"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_flo(file)


def test_damaged_kitti_other_pngs_and_missing_files_are_refused(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(kitti_bytes(FLOW)[:-30])
    with pytest.raises(DataError, match="expected a readable image"):
        read_flow(file)
    cv2.imwrite(str(file), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match="expected a PNG of three channels of 16 bits, found PNG RGB"):
        read_flow(file)
    with pytest.raises(DataError, match="no such file"):
        read_flow(tmp_path / "b.flo")
    with pytest.raises(DataError, match="no such file"):
        read_flow(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"expected a flow as \.flo or \.png"):
        read_flow(tmp_path / "b.txt")


def test_what_a_file_cannot_say_is_refused():
    with pytest.raises(ValueError, match=r"from -512\.0 to 511\.98 pixels"):
        kitti_bytes(np.full((1, 1, 2), 512.0))
    with pytest.raises(ValueError, match=r"expected a flow of at most 1e\+09 pixels"):
        flo_bytes(np.full((1, 1, 2), 2e9))
    for write in (flo_bytes, kitti_bytes):
        with pytest.raises(ValueError, match=r"expected a flow \(height, width, 2\), got \(4, 2\)"):
            write(np.zeros((4, 2)))
