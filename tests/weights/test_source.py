"""Where files of weights come from: the catalog's addresses with their digests, and the hub."""

import hashlib
import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.convnets.torch_names import variables_of
from tests.weights.test_load import assert_equal
from zoo.catalog import CATALOG
from zoo.catalog.pretrained import Preprocessing, Pretrained, class_list, table
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.weights import source

PREPROCESSING = Preprocessing(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Weights of the tiny residual network at an address, as the only row of the table; and the variables."""
    variables = variables_of(CifarResNet(depth=8))
    zoo.save_weights(variables, tmp_path / "w.safetensors")
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()[:8]
    file = (tmp_path / "w.safetensors").rename(tmp_path / f"tiny-{digest}.safetensors")
    row = Pretrained("TINY_V1", file.as_uri(), digest, PREPROCESSING, "cifar10", {"top1": 10.0})
    monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: {"cifar_resnet8": (row,)})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return file, variables


def test_a_path_from_the_home_folder_is_read_and_written(tmp_path, monkeypatch):
    variables = variables_of(CifarResNet(depth=8))
    monkeypatch.setenv("HOME", str(tmp_path))
    zoo.save_weights(variables, "~/w.safetensors")
    assert (tmp_path / "w.safetensors").exists()
    assert_equal(zoo.load_weights("cifar_resnet8", "~/w.safetensors"), variables)


def test_without_a_home_folder_only_what_needs_it_is_refused(published, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])  # nobody has this number
    assert source.cache_folder().name == "weights"  # XDG_CACHE_HOME says where
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(FileNotFoundError, match=r"~/\.cache: there is no home folder"):
        zoo.load_weights("cifar_resnet8", "TINY_V1")


def test_published_weights_load_by_name_and_are_fetched_once(published):
    file, variables = published
    assert_equal(zoo.load_weights("cifar_resnet8", "TINY_V1"), variables)
    file.unlink()
    assert_equal(zoo.load_weights("cifar_resnet8", "TINY_V1"), variables)
    assert [path.name for path in source.cache_folder().iterdir()] == [file.name]


def test_a_file_with_another_digest_is_refused_and_not_kept(published):
    file, _ = published
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=rf"expected a file of sha256 {file.stem[5:]}\.\.\., got [0-9a-f]{{64}}"):
        zoo.load_weights("cifar_resnet8", "TINY_V1")
    assert not list(source.cache_folder().iterdir())


def test_a_file_in_the_cache_with_another_digest_is_fetched_again(published):
    file, variables = published
    zoo.load_weights("cifar_resnet8", "TINY_V1")
    zoo.save_weights({"params": {"other": np.zeros(1)}}, source.cache_folder() / file.name)
    assert_equal(zoo.load_weights("cifar_resnet8", "TINY_V1"), variables)


def test_an_address_where_nothing_is_leaves_nothing_and_is_named(published):
    file, _ = published
    file.unlink()
    with pytest.raises(OSError, match=rf"cannot fetch {re.escape(file.as_uri())} to .*: .*No such file"):
        zoo.load_weights("cifar_resnet8", "TINY_V1")
    assert not list(source.cache_folder().iterdir())


def test_an_address_that_does_not_answer_is_given_up_and_named(published, monkeypatch):
    monkeypatch.setattr(source, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/{published[0].name}"
        row = Pretrained("TINY_V1", address, "", PREPROCESSING, "cifar10", {"top1": 10.0})
        monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: {"cifar_resnet8": (row,)})
        with pytest.raises(OSError, match=f"cannot fetch {address} to .*: .*timed out"):
            zoo.load_weights("cifar_resnet8", "TINY_V1")
    assert not list(source.cache_folder().iterdir())


def test_a_file_of_the_hub_is_fetched_by_its_library(published, monkeypatch):
    file, variables = published
    asked = []

    def download(repository, name):
        asked.append((repository, name))
        return str(file)

    library = type(sys)("huggingface_hub")
    library.hf_hub_download = download
    monkeypatch.setitem(sys.modules, "huggingface_hub", library)
    assert_equal(zoo.load_weights("cifar_resnet8", "hub:somebody/resnet8"), variables)
    assert_equal(zoo.load_weights("cifar_resnet8", "hub:somebody/resnet8/parts/a.safetensors"), variables)
    assert asked == [("somebody/resnet8", "model.safetensors"), ("somebody/resnet8", "parts/a.safetensors")]


def test_the_hub_without_its_library_or_without_a_repository_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as where it is not installed
    with pytest.raises(ImportError, match=r"pip install 'lecture-vision-zoo\[hub\]'"):
        zoo.load_weights("cifar_resnet8", "hub:somebody/resnet8")
    with pytest.raises(ValueError, match="expected hub:OWNER/REPOSITORY"):
        zoo.load_weights("cifar_resnet8", "hub:resnet8")


def test_every_published_file_belongs_to_a_model_and_has_digest_classes_and_preprocessing():
    assert set(table()) <= set(CATALOG)
    for files in table().values():
        assert len({file.name for file in files}) == len(files)
        for file in files:
            assert re.fullmatch(r"https://\S+-[0-9a-f]{8,}\.(pth|th)", file.url)
            assert file.url.endswith((f"-{file.sha256}.pth", f"-{file.sha256}.th"))
            outputs = {
                "imagenet": 1000,
                "cifar10": 10,
                "coco": 91,
                "coco_person": 2,
                "voc": 21,
                "kinetics400": 400,
                "": 0,
            }  # with the background, of detection and segmentation
            assert len(file.class_names) == outputs[file.classes]
            how = file.preprocessing
            if file.classes == "voc":
                assert (how.frame, how.resize, how.crop) == ("whole", 520, 0)
                assert set(file.metrics) == {"miou", "pixel_acc"}
                continue
            if file.classes.startswith("coco"):
                assert 300 <= how.resize <= how.crop <= 1333
                assert set(file.metrics) <= {"box_ap", "mask_ap", "keypoint_ap"}
                assert all(20 < value < 70 for value in file.metrics.values())
                continue
            if not file.classes:
                assert (how.frame, how.resize, how.crop) == ("whole", 0, 0)
                assert {name.rpartition("_")[2] for name in file.metrics} <= {"epe", "all"}
                assert all(1 < value < 26 for value in file.metrics.values())
                continue
            if file.classes == "kinetics400":
                assert how.frame == "clip"
                assert how.crop < (how.resize if isinstance(how.resize, int) else min(how.resize))
                assert how.frames in (16, 32, 128)
                assert how.frame_rate in (7.5, 15)
                assert how.clips in (1, 5, 12)
            else:
                assert 32 <= how.crop <= how.resize <= 600
                assert (how.frames, how.frame_rate, how.clips) == (0, 0, 0)
            assert 55 < file.top1 < (file.top5 or 100) <= 100
    assert len(class_list("imagenet")) == 1000


def test_names_of_weights_that_are_not_published_are_answered_with_the_nearest():
    assert zoo.pretrained("cifar_resnet20").name == "CIFAR10_AKAMASTER"
    assert zoo.describe("cifar_resnet20").pretrained == (zoo.pretrained("cifar_resnet20", "CIFAR10_AKAMASTER"),)
    with pytest.raises(zoo.UnknownNameError, match="no weights of cifar_resnet20 'IMAGENET1K_V1'; known: CIFAR10"):
        zoo.pretrained("cifar_resnet20", "IMAGENET1K_V1")
    with pytest.raises(zoo.UnknownNameError, match=r"^lenet5 has no published weights$"):
        zoo.preprocess("lenet5")


def test_a_source_that_is_neither_a_file_nor_published_is_answered_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    resnet = zoo.describe("resnet50")
    with pytest.raises(zoo.UnknownNameError, match="no weights of resnet50 'IMAGENET1K_V3'; known: IMAGENET1K_V1, "):
        source.locate(resnet, "IMAGENET1K_V3")
    for path in ("IMAGENET1K_V3.pth", "./IMAGENET1K_V3"):
        assert source.locate(resnet, path) == Path(path)  # a path that is not there, which whoever reads it says
    Path("IMAGENET1K_V3").touch()
    assert source.locate(resnet, "IMAGENET1K_V3") == Path("IMAGENET1K_V3")
