"""Captions of scenes of digits: they say what is there, in words that are all in the vocabulary."""

import itertools
import re

import numpy as np
import pytest

from train.config import Data
from train.data import load
from train.data.captions import SPECIAL, UNKNOWN, sentence, words_of
from train.data.sources import scene_captions
from train.data.sources.scene_captions import CAPTIONS, LENGTH, MOST_NAMED, NUMBERS, VOCABULARY, captions_of

PAIR = re.compile(r"(?:there is |(\w+) digits with )?an? (\w+) (left of|right of|above|below) an? (\w+)")


@pytest.fixture(scope="module")
def scenes():
    source = load(Data("scenes"), "test")
    arrays = source.arrays()
    said = [[sentence(tokens, source.facts.vocabulary) for tokens in captions] for captions in arrays["captions"]]
    return source, arrays, said


def test_every_scene_has_captions_of_known_words(scenes):
    source, arrays, said = scenes
    assert source.facts.vocabulary == VOCABULARY
    assert arrays["captions"].shape == (len(source), CAPTIONS, LENGTH)
    assert arrays["captions_valid"].all()
    assert not (arrays["captions"] == UNKNOWN).any()
    assert all(len(set(captions)) == CAPTIONS for captions in said)


def test_scenes_of_one_digit_name_it(scenes):
    _, arrays, said = scenes
    alone = np.flatnonzero(arrays["classes_valid"].sum(axis=1) == 1)
    assert len(alone) > 10
    for row in alone:
        name = NUMBERS[arrays["classes"][row, 0]]
        one = f"{'an' if name[0] == 'e' else 'a'} {name}"
        assert said[row] == [one, f"there is {one}", "one digit", "there is one digit", f"a single {name}"]


def test_scenes_of_many_digits_count_them(scenes):
    _, arrays, said = scenes
    counts = arrays["classes_valid"].sum(axis=1)
    for row in np.flatnonzero(counts > MOST_NAMED):
        assert all(caption.split()[-2:] == [NUMBERS[counts[row]], "digits"] for caption in said[row])
    assert set(counts[counts > MOST_NAMED]) == {4, 5, 6, 7, 8}


def test_captions_of_a_few_digits_agree_with_the_masks(scenes):
    """Both names, where they are, and how many there are, from the pixels of the masks."""
    _, arrays, said = scenes
    relations = set()
    for row, captions in enumerate(said):
        valid = arrays["classes_valid"][row]
        if not 1 < valid.sum() <= MOST_NAMED:
            continue
        labels, masks = arrays["classes"][row][valid], arrays["masks"][row][valid]
        across, down = (
            [(np.flatnonzero(line)[0] + np.flatnonzero(line)[-1]) / 2 for line in masks.any(axis=axis)]
            for axis in (1, 2)
        )
        for caption in captions:
            count, one, relation, other = PAIR.fullmatch(caption).groups()
            assert count in (None, NUMBERS[valid.sum()])
            places, spread, less = (
                (across, down, max(across) - min(across) >= max(down) - min(down))
                if relation in ("left of", "right of")
                else (down, across, max(down) - min(down) > max(across) - min(across))
            )
            assert less, (caption, places, spread)
            first, last = (one, other) if relation in ("left of", "above") else (other, one)
            assert first == NUMBERS[labels[np.argmin(places)]]
            assert last == NUMBERS[labels[np.argmax(places)]]
            relations.add(relation)
    assert relations == {"left of", "right of", "above", "below"}


def test_the_vocabulary_is_what_the_rules_can_say_and_no_more():
    two = np.array([[0, 0, 2, 2], [9, 0, 11, 2]])
    said = [captions_of(np.array([label]), two[:1]) for label in range(10)]
    for one, other in itertools.product(range(10), repeat=2):
        said += [captions_of(np.array([one, other]), boxes) for boxes in (two, two[:, [1, 0, 3, 2]])]
    for count in range(3, 9):
        said.append(captions_of(np.zeros(count, int), np.repeat(two, 4, axis=0)[:count]))
    words = [words_of(caption) for captions in said for caption in captions]
    assert {word for caption in words for word in caption} == {*VOCABULARY} - {*SPECIAL}
    assert len(VOCABULARY) == len(set(VOCABULARY))
    assert max(map(len, words)) + 2 == LENGTH


def test_digits_that_are_as_far_apart_down_as_across_are_left_and_right():
    boxes = np.array([[0, 0, 2, 2], [9, 9, 11, 11]])
    assert captions_of(np.array([1, 8]), boxes)[0] == "a one left of an eight"
    assert captions_of(np.array([1, 8]), boxes[:, [0, 1, 2, 3]] + [[0, 0, 0, 0], [0, 1, 0, 1]])[0] == (
        "a one above an eight"
    )
    assert scene_captions.captions_of(np.array([8, 1]), boxes[::-1])[1] == "an eight right of a one"
