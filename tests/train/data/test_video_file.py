"""Video files: frames come back with their times and upright, bad files are named, PyAV may be absent."""

import sys
import types
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from train.config import DataError
from train.data.recordings import VideoRecording
from train.data.video_file import SUFFIXES, Video, VideoError, VideoWriter, is_video

HEIGHT, WIDTH = 48, 64
TIMES = [Fraction(0), Fraction(1, 10), Fraction(3, 10), Fraction(1), Fraction(11, 10)]
"""Seconds of frames that are not evenly spaced."""


def ramp(count, height=HEIGHT, width=WIDTH):
    """Frames of one grey each, ever brighter, whose upper left quarter is black."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = np.linspace(80, 230, count).astype(np.uint8)[:, None, None, None]
    frames[:, : height // 2, : width // 2] = 0
    return frames


def written(path, frames, times, rate=Fraction(10)):
    with VideoWriter(path, rate, *frames.shape[1:3]) as writer:
        for pixels, time in zip(frames, times, strict=True):
            writer.add(pixels, time)
    return path


def encoded(path, codec, pixel_format, rate, frames, rotation=0):
    """A file as others write it, by PyAV alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixel_format
        if rotation:
            stream.set_display_rotation(rotation)
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_times_are_listed_without_decoding(tmp_path):
    path = written(tmp_path / "clip.mp4", ramp(len(TIMES)), TIMES)
    with Video(path) as video:
        assert [float(time) for time in video.times()] == pytest.approx([float(time) for time in TIMES], abs=1e-4)
        assert len(list(video)) == len(TIMES)  # from the beginning


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A file with a key frame every 20, and all of its frames."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", 20
        for pixels in ramp(130):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Video(path) as video:
        return path, [np.asarray(frame.picture) for frame in video]


@pytest.mark.parametrize("numbers", [[0], [129], [3, 2, 3], [70, 110], [60, 61, 62], [100]])
def test_frames_are_found_by_number(long, numbers):
    path, every = long
    with Video(path) as video:
        found = {number: np.asarray(picture) for number, picture in video.pick(numbers)}
    assert list(found) == sorted(set(numbers))
    for number, pixels in found.items():
        np.testing.assert_array_equal(pixels, every[number])


def test_decoding_begins_at_the_key_frame_before_the_first_that_is_wanted(long):
    with Video(long[0]) as video:
        numbers = [number for number, _ in video._numbered(105)]
    assert 95 <= numbers[0] <= 100  # one or two may lead the key frame
    assert numbers == list(range(numbers[0], 130))


def test_a_file_that_ends_before_a_frame_is_named(long):
    with Video(long[0]) as video:
        assert [number for number, _ in video.pick([131])] == [131]  # of packed frames one or two are not there
    with (
        Video(long[0]) as video,
        pytest.raises(DataError, match=r"long\.mp4: .* it ends after 130 frames, of at least 133"),
    ):
        list(video.pick([132]))


def test_clips_come_in_one_pass_of_the_file(long, monkeypatch):
    path, every = long
    numbers = np.array([[0, 2, 4], [3, 3, 5], [60, 61, 62], [61, 62, 63], [125, 129, 131]])
    passes = []
    monkeypatch.setattr(Video, "pick", lambda self, some, pick=Video.pick: passes.append(len(some)) or pick(self, some))
    recording = VideoRecording(path)
    for clip, wanted in zip(recording.clips(numbers), numbers, strict=True):
        np.testing.assert_array_equal(clip, [every[min(number, 129)] for number in wanted])
    assert passes == [numbers.size]
    with pytest.raises(DataError, match=r"long\.mp4: .* it ends after 130 frames"):
        list(recording.clips(np.array([[0, 1], [200, 201]])))


@pytest.fixture(scope="module")
def cut(long, tmp_path_factory):
    """The same file from its frame 10 on, cut without encoding: what came before is there, and is not shown."""
    path = tmp_path_factory.mktemp("cut") / "cut.mp4"
    with av.open(str(long[0])) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                begin = round(Fraction(10, 25) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, stream
                target.mux(packet)
    return path, long[1][10:]


def test_frames_before_a_cut_are_not_listed(cut):
    path, every = cut
    with Video(path) as video:
        assert [float(time) for time in video.times()] == pytest.approx(np.arange(len(every)) / 25, abs=1e-4)
        assert len(list(video)) == len(every)


@pytest.mark.parametrize("numbers", [[0], [7, 20], [60, 61], [119]])
def test_frames_of_a_file_that_was_cut_are_found_by_number(cut, numbers):
    path, every = cut
    with Video(path) as video:
        found = {number: np.asarray(picture) for number, picture in video.pick(numbers)}
    for number in numbers:
        np.testing.assert_array_equal(found[number], every[number])


def test_frames_come_back_with_their_times(tmp_path):
    frames = ramp(len(TIMES))
    with Video(written(tmp_path / "clip.mp4", frames, TIMES)) as video:
        found = list(video)
    assert [float(frame.time) for frame in found] == pytest.approx([float(time) for time in TIMES], abs=1e-4)
    for frame, pixels in zip(found, frames, strict=True):
        assert np.abs(np.asarray(frame.picture, np.float64) - pixels).mean() < 6


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(15, 2)])
def test_the_rate_of_frames_is_kept(rate, tmp_path):
    with Video(written(tmp_path / "clip.mp4", ramp(9), [i / rate for i in range(9)], rate)) as video:
        assert float(video.rate) == pytest.approx(float(rate), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.webm", "libvpx", "yuv420p"), ("a.avi", "mpeg4", "yuv420p"), ("a.gif", "gif", "rgb8")],
)
def test_other_formats_are_read(name, codec, pixel_format, tmp_path):
    path = encoded(tmp_path / name, codec, pixel_format, Fraction(10), ramp(5))
    assert is_video(path)
    with Video(path) as video:
        found = list(video)
    assert [float(frame.time) for frame in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-2)
    assert {frame.picture.size for frame in found} == {(WIDTH, HEIGHT)}


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_video_is_turned_as_its_camera_was_held(rotation, tmp_path):
    path = encoded(tmp_path / "clip.mp4", "libx264", "yuv420p", Fraction(10), ramp(2), rotation)
    with Video(path) as video:
        picture = np.asarray(next(iter(video)).picture)
    expected = np.rot90(ramp(2)[0], rotation // 90)  # against the clock, as FFmpeg's display matrix says it
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(np.float64) - expected).mean() < 12


@pytest.mark.parametrize(
    ("told", "expected"),
    [((None, None, None, None), (0, 1, 2, 3)), ((0, 3, 2, 9), (0, 3, 4, 9)), ((5, 5, 5, 7), (0, 1, 2, 3))],
    ids=["none", "exchanged", "the same"],
)
def test_frames_of_a_file_with_wrong_times_follow_each_other(told, expected, tmp_path, monkeypatch):
    """`told` and `expected` in tenths of a second; packed AVI files exchange some."""
    path = written(tmp_path / "clip.mp4", ramp(4), [Fraction(i, 10) for i in range(4)])
    with Video(path) as video:
        frames = list(video._container.decode(video._stream))
        for frame, time in zip(frames, told, strict=True):
            frame.pts = None if time is None else round(time / (10 * frame.time_base))
        given = types.SimpleNamespace(decode=lambda _: iter(frames), close=video._container.close)
        monkeypatch.setattr(video, "_container", given)
        assert [float(frame.time) for frame in video] == pytest.approx([time / 10 for time in expected], abs=1e-4)


def test_a_gif_is_a_video_where_it_moves(tmp_path):
    pictures = [Image.fromarray(pixels) for pixels in ramp(3)]
    pictures[0].save(tmp_path / "still.gif")
    pictures[0].save(tmp_path / "moves.gif", save_all=True, append_images=pictures[1:])
    (tmp_path / "no.gif").write_text("text")
    assert [is_video(tmp_path / f"{name}.gif") for name in ("still", "moves", "no")] == [False, True, False]
    assert all(is_video(tmp_path / f"clip{suffix.upper()}") for suffix in SUFFIXES)


def test_what_is_no_video_is_named(tmp_path):
    with pytest.raises(DataError, match=r"missing\.mp4: no such file"):
        Video(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(DataError, match=r"text\.mp4: expected a readable video"):
        Video(tmp_path / "text.mp4")
    with wave.open(str(tmp_path / "sound.avi"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(DataError, match=r"sound\.avi: expected a readable video: it has no pictures"):
        Video(tmp_path / "sound.avi")


def test_a_frame_of_another_size_is_refused(tmp_path):
    writer = VideoWriter(tmp_path / "clip.mp4", Fraction(10), HEIGHT, WIDTH)
    with pytest.raises(ValueError, match=r"expected a frame of shape \(48, 64, 3\), got \(50, 64, 3\)"), writer:
        writer.add(ramp(1, 50)[0], Fraction(0))


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r'clip\.mp4: expected PyAV, .*pip install -e "\.\[video\]"'):
        Video(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match=r"expected PyAV"):
        VideoWriter(tmp_path / "clip.mp4", Fraction(10), HEIGHT, WIDTH)


def test_an_encoder_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("train.data.video_file.ENCODER", "no_such_encoder")
    closed, opened = [], av.open

    def watched(*given, **how):
        container = opened(*given, **how)
        return types.SimpleNamespace(add_stream=container.add_stream, close=lambda: closed.append(container.close()))

    monkeypatch.setattr(av, "open", watched)
    with pytest.raises(VideoError, match=r"clip\.mp4: expected a PyAV that encodes H\.264: .*no_such_encoder"):
        VideoWriter(tmp_path / "clip.mp4", Fraction(10), HEIGHT, WIDTH)
    assert closed == [None]
