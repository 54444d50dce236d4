"""COCO's json of captions: words of the training captions alone, and each way in which a file can be wrong."""

import json
import pickle

import numpy as np
import pytest

from tests.train.data.sources.test_coco import write
from train.config import Data
from train.data import DataError, Kind, evaluation_batches, load, load_both
from train.data.captions import SPECIAL, UNKNOWN, sentence
from train.data.sources.coco_captions import LONGEST

SENTENCES = {
    7: ["A dog runs.", "A dog, running fast!"],
    9: ["The dog's toy is a ball.", "a ball", "A red ball"],
    11: [],
}


def dataset(sentences=SENTENCES, size=(8, 10)):
    height, width = size
    images = [{"id": i, "file_name": f"{i}.png", "height": height, "width": width} for i in sentences]
    pairs = [(image, caption) for image, captions in sentences.items() for caption in captions]
    pairs = pairs[::-1]  # in a file captions stand in any order
    annotations = [{"id": i, "image_id": image, "caption": caption} for i, (image, caption) in enumerate(pairs)]
    return {"images": images, "annotations": annotations}


def test_images_have_their_captions_in_words_of_the_training_file(tmp_path):
    write(tmp_path / "a", dataset(), "captions_train2017.json")
    write(
        tmp_path / "a",
        dataset({8: ["A cat and a dog", "a much longer sentence that is about a dog"]}),
        "captions_val2017.json",
    )
    train, test = load_both(Data(f"coco:{tmp_path}/a/captions_train2017.json", rare_below=2))
    assert train.facts.vocabulary == test.facts.vocabulary == (*SPECIAL, "a", "ball", "dog")
    assert train.spec["captions"] == test.spec["captions"]
    assert (train.spec["captions"].kind, train.spec["captions"].padded) == (Kind.TOKENS, (3, 11))
    assert (len(train), len(test)) == (3, 1)
    said = [[sentence(tokens, train.facts.vocabulary) for tokens in train.peek(row, "captions")] for row in range(3)]
    assert said == [
        ["a dog <unk> <unk>", "a dog <unk>"],
        ["a <unk> ball", "a ball", "<unk> dog <unk> <unk> <unk> a ball"],
        [],
    ]
    assert sentence(test[0]["captions"][-1], test.facts.vocabulary) == "a <unk> <unk> a dog"
    arrays = train.read([0, 1, 2])
    assert arrays["captions_valid"].sum(axis=1).tolist() == [2, 3, 0]
    assert arrays["image"][:, 0, 0, 0].tolist() == [7, 9, 11]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(train))[1]["captions"], train[1]["captions"])
    (batch,) = evaluation_batches(test, 4)
    assert batch["captions"].shape == (4, 3, 11)


def test_workers_get_numbers_and_not_words(tmp_path):
    """Which take several times as much: of COCO's 600,000 captions hundreds of megabytes a worker."""
    sentences = {number: ["a dog runs after a ball and a cat after a dog"] * 50 for number in range(10)}
    train = load(Data(f"coco:{write(tmp_path, dataset(sentences), 'all.json')}", rare_below=1), "train")
    captions = 500 * train.spec["captions"].shape[1]
    assert len(pickle.dumps(train)) < 3 * captions
    assert train[0]["captions"].dtype == np.int32


def test_captions_without_a_word_are_left_out(tmp_path):
    file = write(tmp_path, dataset({1: ["...", "a dog"], 2: [""]}), "captions_train.json")
    write(tmp_path, dataset({3: ["a dog"]}), "captions_val.json")
    train = load(Data(f"coco:{file}", rare_below=1), "train")
    assert [len(train[row]["captions"]) for row in range(2)] == [1, 0]
    assert train.spec["captions"].most == (1,)


def test_of_one_file_a_fifth_is_held_out_and_has_no_part_in_the_vocabulary(tmp_path):
    sentences = {number: [f"a thing{number}"] for number in range(10)}
    file = write(tmp_path, dataset(sentences), "all.json")
    train, test = load_both(Data(f"coco:{file}", rare_below=1))
    assert (len(train), len(test)) == (8, 2)
    held_out = {int(test[row]["image"][0, 0, 0]) for row in range(2)}
    known = {word for word in train.facts.vocabulary if word.startswith("thing")}
    assert known == {f"thing{number}" for number in set(range(10)) - held_out}
    assert all(UNKNOWN in test[row]["captions"] for row in range(2))
    assert load(Data(f"coco:{file}", rare_below=1, held_out=4), "test").facts.vocabulary != train.facts.vocabulary


def test_a_caption_that_never_ends_is_cut_off(tmp_path):
    file = write(tmp_path, dataset({1: ["a " * 100], 2: ["a"], 3: ["a b"]}), "all.json")
    source = load(Data(f"coco:{file}", held_out=1), "train")
    assert source.spec["captions"].shape == (None, LONGEST + 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found["annotations"][0].update(image_id=5), "annotation 0: image_id 5 is none of the file's"),
        (lambda found: found["annotations"][0].update(caption=3), "annotation 0: expected a sentence, found 3"),
        (lambda found: found["annotations"][1].pop("caption"), "expected image_id, caption in each of annotations"),
        (lambda found: found["images"][0].pop("height"), r"expected id, file_name, height, width in each of images"),
        (lambda found: found["images"][0].update(id=9), "expected each image id once, found 1 more than once"),
        (lambda found: found.pop("images"), "expected a list 'images', found annotations"),
    ],
)
def test_files_that_are_wrong_are_named_with_what_is_wrong(change, message, tmp_path):
    found = dataset()
    file = write(tmp_path, found, "all.json")
    change(found)
    file.write_text(json.dumps(found))
    with pytest.raises(DataError, match=message):
        load(Data(f"coco:{file}", rare_below=1), "train")


def test_without_a_frequent_word_there_is_no_vocabulary(tmp_path):
    file = write(tmp_path, dataset(), "all.json")
    with pytest.raises(
        DataError, match=r"expected words that occur at least 9 times in . training captions, found none"
    ):
        load(Data(f"coco:{file}", rare_below=9), "train")
