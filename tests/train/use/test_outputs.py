"""Files that `predict` writes replace no file of the user's, whatever they are called."""

import json
import re
import shutil
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.train.data.test_video_file import encoded, ramp
from tests.train.use.test_video import QUIET, Brightness
from train import cli
from train.config import DataError
from train.use.outputs import RECORDS, Outputs, beside, outputs_of
from train.use.predict import predict_files
from train.use.video import predict_videos


class Eye(Brightness):
    """The same of images."""

    mode = None


class Labels(Eye):
    """The same with a further file of each."""

    writes = ("labels.png",)

    def files(self, size, predicted):
        return {"labels.png": b"labels"}


@pytest.fixture
def folder(tmp_path):
    """A video that needs no encoder of its own, and a photograph, of a user."""
    encoded(tmp_path / "clip.gif", "gif", "rgb8", Fraction(10), ramp(2))
    Image.fromarray(ramp(1)[0]).save(tmp_path / "one.jpg")
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder, call, *words):
    """A call that changes nothing, and names these."""
    before = contents(folder)
    with pytest.raises(DataError) as caught:
        call()
    for word in words:
        assert str(word) in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["clip.mp4", "clip.json"])
@pytest.mark.parametrize("content", ["the user's", '[{"image": "the user\'s"}]'])
def test_what_stands_beside_a_video_is_not_written_over(name, content, folder):
    (folder / name).write_text(content)
    clip = folder / "clip.gif"
    refused(folder, lambda: predict_videos(Brightness(), [clip], folder, QUIET), clip, folder / name)


@pytest.mark.parametrize("name", ["one.png", RECORDS])
def test_what_stands_beside_an_image_is_not_written_over(name, folder):
    (folder / name).write_text('{"annotations": []}')
    image = folder / "one.jpg"
    refused(folder, lambda: predict_files(Eye(), (image,), folder, QUIET), image, folder / name)


def test_a_picture_that_another_image_was_predicted_beside_is_not_written_over(folder):
    shutil.copy(folder / "one.jpg", folder / "two.jpg")
    predict_files(Eye(), (folder / "one.jpg",), folder, QUIET)
    (folder / "two.png").write_text("the user's")
    refused(folder, lambda: predict_files(Eye(), (folder / "two.jpg",), folder, QUIET), folder / "two.png")


def test_no_input_is_written_over(folder):
    videos = [folder / "clip.gif", folder / "o" / "clip.mp4"]
    videos[1].parent.mkdir()
    encoded(videos[1], "mpeg4", "yuv420p", Fraction(10), ramp(2))
    refused(folder, lambda: predict_videos(Brightness(), videos, folder / "o", QUIET), *videos)
    image = folder / "one.png"
    Image.fromarray(ramp(1)[0]).save(image)
    refused(folder, lambda: predict_files(Eye(), (image,), folder, QUIET), image)
    (folder / "link").symlink_to(folder)
    refused(folder, lambda: predict_files(Eye(), (image,), folder / "link", QUIET), image)
    refused(folder, lambda: outputs_of([folder / "one.jpg", image], videos[:1], folder / "link" / "o" / ".."), image)


def test_what_an_earlier_call_wrote_is_written_over(folder):
    for output in (folder, folder / "out"):
        for _ in range(2):
            predict_files(Eye(), (folder / "one.jpg",), output, QUIET)
            predict_videos(Brightness(), [folder / "clip.gif"], output, QUIET)
    names = {"one.png", "clip.mp4", "clip.json", RECORDS}
    assert {path.name for path in (folder / "out").iterdir()} == names
    assert {path.name for path in folder.iterdir()} == {*names, "one.jpg", "clip.gif", "out"}
    (folder / "new").mkdir()
    (folder / "new" / "one.png").write_text("of a call that broke off before there were records")
    predict_files(Eye(), (folder / "one.jpg",), folder / "new", QUIET)
    assert np.asarray(Image.open(folder / "new" / "one.png")).shape == (48, 65, 3)


@pytest.mark.usefixtures("runs")
def test_a_video_with_the_name_of_the_records_of_images_is_refused_with_them(whole, folder, capsys):
    video = folder / "predictions.gif"
    shutil.move(folder / "clip.gif", video)
    paths = [str(folder / "one.jpg"), str(video)]
    assert cli.main(["predict", str(whole[0]), *paths, "--output", str(folder / "out")]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(
        r"predictions\.gif: expected another name.*predictions\.json would be written twice.*one\.jpg", error
    )
    assert not (folder / "out").exists()
    (done,) = predict_videos(Brightness(), [video], folder / "out", QUIET)  # alone it has no rival
    assert len(json.loads(done.records.read_text(encoding="utf-8"))) == 2


def test_inputs_of_one_name_have_files_of_their_own(tmp_path):
    found = outputs_of([tmp_path / "a" / "v.png", tmp_path / "b" / "v.jpg"], [tmp_path / "v.gif"], tmp_path / "out")
    names = [[path.name for path in paths] for paths in found]
    assert isinstance(found, Outputs)
    assert names == [["v.png", "v-2.png"], ["v.mp4"]]


def test_further_files_have_names_of_their_own_too(tmp_path):
    images = [tmp_path / name for name in ("v.png", "v.labels.png", "w.labels.png", "w.png")]
    found = outputs_of(images, (), tmp_path / "out", ("labels.png",)).pictures
    assert [path.name for path in found] == ["v.png", "v.labels-2.png", "w.labels.png", "w-2.png"]
    assert len({*found, *(beside(path, "labels.png") for path in found)}) == 2 * len(images)


def test_further_files_of_an_earlier_call_are_written_over_and_no_others(folder):
    image, further = folder / "one.jpg", folder / "one.labels.png"
    further.write_text("the user's")
    refused(folder, lambda: predict_files(Labels(), (image,), folder, QUIET), image, further)
    further.unlink()
    for _ in range(2):
        predict_files(Labels(), (image,), folder, QUIET)
    assert further.read_bytes() == b"labels"
