"""Folders of videos: what is in them, in which split, and what becomes of those that break."""

import itertools
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.test_video_file import encoded, ramp, written
from train import cli
from train.config import Data, RecipeError
from train.data import DataError, GrainPipeline, evaluation_batches, load, load_both
from train.data.sources.clips import clips_splits
from train.data.video_file import Video

REAL = Path(__file__).resolve().parents[5] / "shared" / "data" / "video"
HEIGHT, WIDTH, COUNT = 32, 48, 12


def frames_of(seed, count=COUNT):
    """Grey frames that all differ, and how bright they are."""
    random = np.random.default_rng(seed)
    shades = (20 + 200 * random.permutation(count) // count).astype(np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (count, HEIGHT, WIDTH, 3)), shades


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A class of four formats, and one of folders of frames, names of which sort by number."""
    root = tmp_path_factory.mktemp("clips")
    (root / "film").mkdir()
    (root / "frames" / "deeper").mkdir(parents=True)
    rate = Fraction(10)
    encoded(root / "film" / "a.avi", "mpeg4", "yuv420p", rate, frames_of(0)[0])
    written(root / "film" / "b.mp4", frames_of(1)[0], [i / rate for i in range(COUNT)])
    encoded(root / "film" / "c.gif", "gif", "rgb8", rate, frames_of(2)[0])
    encoded(root / "film" / "d.webm", "libvpx", "yuv420p", rate, frames_of(3)[0])
    (root / "film" / "notes.txt").write_text("not a video")
    for seed, place in enumerate(("one", "two", "deeper/three"), start=4):
        (root / "frames" / place).mkdir(exist_ok=True)
        for number, pixels in enumerate(frames_of(seed)[0]):
            Image.fromarray(np.ascontiguousarray(pixels)).save(root / "frames" / place / f"frame{number}.png")
    return root


SEEDS = dict(zip(("a.avi", "b.mp4", "c.gif", "d.webm", "one", "two", "deeper/three"), range(7), strict=True))


def shades_of(clip):
    return clip[..., 0].mean(axis=(1, 2))


def test_every_format_gives_the_frames_that_were_written(folder):
    config = Data(f"clips:{folder}", frames=COUNT, held_out=2)
    examples = [source[row] for source in load_both(config) for row in range(len(source))]
    assert sorted(int(each["label"]) for each in examples) == [0] * 4 + [1] * 3
    found = [shades_of(each["clip"]) for each in examples]
    for seed in range(7):
        off = min(np.abs(shades - frames_of(seed)[1]).max() for shades in found)
        assert off < 25 if seed == SEEDS["c.gif"] else off < 9  # rgb8 has 8 reds
    assert all(each["readable"] for each in examples)
    assert load(config, "train").facts.classes == ("film", "frames")


def test_training_draws_frames_anew_as_seed_epoch_and_row_decide(folder):
    source = load(Data(f"clips:{folder}", frames=4, held_out=2), "train")
    assert source.varies
    (first,), (again,), (other,) = (source.variants([4], 0, epoch) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first["clip"], again["clip"])
    starts = {tuple(shades_of(source.variants([4], 0, epoch)[0]["clip"])) for epoch in range(20)}
    assert len(starts) > 4
    assert other["clip"].shape == (4, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(source[4]["clip"], source[4]["clip"])


@pytest.mark.slow  # starts processes, which compile the flow: their batches are those of none
def test_workers_decode_the_same_batches_and_compute_the_same_flow(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = load(Data(f"clips:{folder}", frames=4, held_out=2, crop=16, flow=True), "train")
    batches = []
    for workers in (2, 0):
        shutil.rmtree(tmp_path / "lecture-vision-zoo", ignore_errors=True)
        pipeline = GrainPipeline(source, 2, seed=3, workers=workers)
        batches.append([pipeline.next() for _ in range(4)])
        pipeline.close()
    for one, other in zip(*batches, strict=True):
        for name in ("clip", "flows", "label", "readable", "index"):
            np.testing.assert_array_equal(one[name], other[name])


def test_a_window_is_the_same_in_all_frames_of_a_clip(folder):
    source = load(Data(f"clips:{folder}", frames=4, held_out=2, crop=16, smallest_area=0.1), "train")
    ramps = np.arange(WIDTH)[:, None] + 3 * np.arange(HEIGHT)[:, None, None] + np.zeros(3)
    still = np.broadcast_to(ramps.astype(np.uint8), (4, HEIGHT, WIDTH, 3))
    source.source.variants = lambda rows, seed, epoch: [{"clip": still, "label": 0, "readable": True}] * len(rows)
    clips = [each["clip"] for each in source.variants([0, 1, 2], seed=0, epoch=0)]
    assert [clip.shape for clip in clips] == [(4, 16, 16, 3)] * 3
    for clip in clips:
        np.testing.assert_array_equal(clip, np.broadcast_to(clip[:1], clip.shape))
    assert not np.array_equal(clips[0], clips[1])


def test_evaluation_has_several_clips_of_a_video_one_after_the_other(folder):
    _, test = load_both(Data(f"clips:{folder}", frames=4, clips=3, held_out=2))
    assert test.spec["clip"].shape == (12, HEIGHT, WIDTH, 3)
    (batch,) = evaluation_batches(test, 2)
    every = load_both(Data(f"clips:{folder}", frames=COUNT, held_out=2))[1].read([0, 1])["clip"]
    np.testing.assert_array_equal(batch["clip"], every[:, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]])


def spoilt(root):
    """A folder of two classes whose second has a good video, and others that cannot be used."""
    for name in ("good", "mixed"):
        (root / name).mkdir(parents=True)
        for number in range(3 if name == "good" else 1):
            written(root / name / f"{number}.mp4", ramp(COUNT), [Fraction(i, 10) for i in range(COUNT)])
    (root / "mixed" / "empty.mp4").write_bytes(b"")
    (root / "mixed" / "text.avi").write_text("no video at all")
    whole = (root / "mixed" / "0.mp4").read_bytes()
    (root / "mixed" / "half.mp4").write_bytes(whole[: len(whole) // 2])
    written(root / "mixed" / "short.mp4", ramp(3), [Fraction(i, 10) for i in range(3)])
    return root


WRONG = {
    "empty.mp4": "expected a readable video",
    "half.mp4": "expected a readable video",
    "short.mp4": "expected at least 4 frames for a clip of 4, found 3",
    "text.avi": "expected a readable video",
}


def test_what_cannot_be_read_is_left_out_with_a_warning_or_stops_the_run(tmp_path):
    root = spoilt(tmp_path / "clips")
    train, test = load_both(Data(f"clips:{root}", frames=4))
    found = {}
    for source, rows in ((train, range(len(train))), (test, range(len(test)))):
        for row in rows:
            file = source.source.source.files[source.source._rows[row]]
            if file.name in WRONG and file.parent.name == "mixed":
                with pytest.warns(UserWarning, match=f"left out: .*{file.name}: {WRONG[file.name]}"):
                    example = source[row]
                assert not example["clip"].any()
            else:
                example = source[row]
            found[file.name if file.parent.name == "mixed" else "good"] = bool(example["readable"])
    assert found == {"good": True, "0.mp4": True, **dict.fromkeys(WRONG, False)}
    strict = load_both(Data(f"clips:{root}", frames=4, broken="stop"))
    assert "readable" not in strict[0].spec
    errors = set()
    for one, row in ((split, row) for split in strict for row in range(len(split))):
        try:
            one[row]
        except DataError as error:
            errors.add(next(name for name, said in WRONG.items() if f"{name}: {said}" in str(error)))
    assert errors == set(WRONG)


def test_check_data_names_every_video_that_cannot_be_used(tmp_path, capsys):
    root = spoilt(tmp_path / "clips")
    assert cli.main(["check-data", "--data.source", f"clips:{root}", "--data.frames", "4"]) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    for name, wrong in WRONG.items():
        assert f"{name}: {wrong}" in " ".join(said.split())


def test_settings_that_fit_no_video_are_refused_before_the_run(folder):
    with pytest.raises(DataError, match=r"no video of several can be used.*at least 500 frames"):
        load(Data(f"clips:{folder}", frames=500), "train")
    with pytest.raises(RecipeError, match=r"data\.frames: expected a source of videos, got digits"):
        load(Data("digits", frames=4), "train")


def test_parts_of_one_film_are_held_out_together(tmp_path):
    for name, group, part in itertools.product(("jump", "run"), range(1, 6), range(1, 4)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"v_{name}_g{group:02}_c{part:02}.avi").write_bytes(b"")
    splits = clips_splits(str(tmp_path), any_size=True)
    groups = {
        split: {(file.parent.name, file.stem[-6:-4]) for file in (source.source.files[row] for row in source._rows)}
        for split, source in splits.items()
    }
    assert not groups["train"] & groups["test"]
    assert {name for name, _ in groups["test"]} == {"jump", "run"}
    assert {split: len(source) for split, source in splits.items()} == {"train": 24, "test": 6}


def listed(root, **lists):
    """UCF101's folders, with empty files, and its lists."""
    for name in ("jump", "run"):
        (root / "videos" / name).mkdir(parents=True)
        for group in (1, 2, 3):
            (root / "videos" / name / f"v_{name}_g{group:02}_c01.avi").write_bytes(b"")
    (root / "lists").mkdir()
    for name, lines in lists.items():
        (root / "lists" / f"{name}.txt").write_text(lines)
    return f"{root / 'videos'}@{root / 'lists' / 'trainlist01.txt'}"


def test_official_lists_say_what_the_test_is(tmp_path):
    train = "run/v_run_g02_c01.avi 2\njump/v_jump_g03_c01.avi 1\n\nrun/v_run_g01_c01.avi 2\n"
    path = listed(tmp_path, trainlist01=train, testlist01="jump/v_jump_g01_c01.avi\nrun/gone.avi\n")
    splits = clips_splits(path, any_size=True)
    found = {
        split: [(source.source.files[row].name, source.facts.classes[source[i]["label"]])
                for i, row in enumerate(source._rows)]
        for split, source in splits.items()
    }  # fmt: skip
    assert found == {
        "train": [("v_jump_g03_c01.avi", "jump"), ("v_run_g02_c01.avi", "run"), ("v_run_g01_c01.avi", "run")],
        "test": [("v_jump_g01_c01.avi", "jump"), ("gone.avi", "run")],  # a file that is missing is one that breaks
    }
    with pytest.raises(DataError, match=r"data\.held_out: .* has a test of its own"):
        clips_splits(path, any_size=True, held_out=1)


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({}, r"trainlist01\.txt: expected testlist01\.txt or vallist01\.txt beside it"),
        ({"testlist01": "run/a.avi\n"}, "expected a list of videos that can be read"),
        ({"trainlist01": "", "testlist01": "run/a.avi\n"}, "expected a video a line, found none"),
        ({"trainlist01": "run/a.avi 2\na.avi 1\n", "testlist01": "run/b.avi"}, "line 2: expected CLASS/NAME, found 'a"),
        ({"trainlist01": "run/a.avi 2", "testlist01": "run/a.avi"}, r"run/a\.avi: expected in one list, found in"),
        ({"trainlist01": "run/a.avi 2", "vallist01": "jump/a.avi"}, "vallist01.txt: expected videos of class 'run'"),
    ],
)
def test_lists_that_are_not_of_this_form_are_named(tmp_path, lists, said):
    with pytest.raises(DataError, match=said):
        clips_splits(listed(tmp_path, **lists))


def test_a_list_needs_a_folder_and_a_name_that_says_training(tmp_path):
    path = listed(tmp_path, trainlist01="run/a.avi", split01="run/a.avi")
    with pytest.raises(DataError, match="expected the list of training videos, whose name says train"):
        clips_splits(path.replace("trainlist01", "split01"))
    with pytest.raises(DataError, match="elsewhere: expected a folder of class folders, found nothing"):
        clips_splits(path.replace("videos@", "elsewhere@"))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("a.mp4",), "expected every video in a class folder"),
        (("a/0.png",), "expected videos, and a folder of its own for the frames of each, found images"),
        (("a/notes.txt",), r"expected videos .* or folders of frames, found none"),
        ((), "expected class folders, found none"),
    ],
)
def test_folders_that_are_not_of_this_form_are_named(tmp_path, files, said):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=said):
        load(Data(f"clips:{tmp_path}"), "train")


def test_frames_of_one_video_have_one_size(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "film").mkdir(parents=True)
        for number in range(4):
            side = 32 if name == "a" or number < 3 else 24
            Image.new("L", (side, 32)).save(tmp_path / name / "film" / f"{number:03}.png")
        shutil.copytree(tmp_path / name / "film", tmp_path / name / "other")
    train, test = load_both(Data(f"clips:{tmp_path}", frames=4, crop=16, held_out=2, broken="stop"))
    said = []
    for source in (train, test):
        for row in range(len(source)):
            try:
                assert source[row]["clip"].shape == (4, 16, 16, 3)  # grey ones too
            except DataError as error:
                said.append(str(error))
    assert len(said) == 2
    assert all("expected frames of one size, found [(32, 24, 3), (32, 32, 3)]" in each for each in said)


def test_videos_of_two_sizes_need_windows(tmp_path):
    for name, size in (("a", (32, 48)), ("b", (48, 32))):
        (tmp_path / name).mkdir()
        for number in range(2):
            times = [Fraction(i, 10) for i in range(6)]
            written(tmp_path / name / f"{number}.mp4", ramp(6, *size), times)
    with pytest.raises(DataError, match=r"expected 32x48 pixels .* found 48x32; cut windows"):
        load(Data(f"clips:{tmp_path}", frames=4, held_out=2), "train")
    source = load(Data(f"clips:{tmp_path}", frames=4, held_out=2, crop=16), "train")
    assert source.read([0, 1])["clip"].shape == (2, 4, 16, 16, 3)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real videos are not in {REAL}")
def test_real_videos_give_the_frames_that_decoding_all_of_them_gives(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    files = sorted(REAL.iterdir())
    for number, file in enumerate(files):
        (tmp_path / ("one", "two")[number % 2] / file.name).symlink_to(file)
    source = load(Data(f"clips:{tmp_path}", frames=4, stride=8, crop=32, held_out=1), "train")
    raw = source.source
    for row in range(len(source)):
        inner = raw.source
        file = inner.source.files[inner._rows[row]]
        with Video(file) as video:
            every = [np.asarray(frame.picture) for frame in video]
        (drawn,) = raw.variants([row], 0, epoch=3)
        places = [[i for i, frame in enumerate(every) if np.array_equal(frame, seen)] for seen in drawn["clip"]]
        last = len(every) - 1  # of packed frames one may be listed that is not there
        assert any(
            all(min(first + 8 * step, last) in found for step, found in enumerate(places)) for first in places[0]
        ), file
