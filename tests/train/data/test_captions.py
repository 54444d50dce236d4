"""Captions as words, and words as numbers."""

import numpy as np
import pytest

from train.data.captions import (
    END,
    PADDING,
    SPECIAL,
    START,
    UNKNOWN,
    encoded,
    field_of,
    numbered,
    sentence,
    vocabulary_of,
    words_of,
)
from train.data.source import stacked


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A man riding a wave on top of a surfboard.", "a man riding a wave on top of a surfboard"),
        ("Two dogs, a cat;  and (maybe) a BIRD!?\n", "two dogs a cat and maybe a bird"),
        ("The boy's kite isn't up, they can't fly it", "the boy 's kite is n't up they ca n't fly it"),
        (
            "It’s what we’d call “fine”; they'll say I'm, we've, you're",
            "it 's what we 'd call fine they 'll say i 'm we 've you 're",
        ),
        ("the dogs' toys and 'quoted' words", "the dogs toys and quoted words"),
        ("a black-and-white, two-story house - with trees --", "a black-and-white two-story house with trees"),
        ("1,000 birds at 3.5 feet, 2.And 4", "1,000 birds at 3.5 feet 2 and 4"),
        ("rock'n'roll o'clock 's n't", "rock'n'roll o'clock s n't"),
        ("snow_man café 東京", "snow man café 東京"),
        ("...!?", ""),
        ("cafe\u0301s", "caf\u00e9s"),  # an accent by itself is one with its letter
    ],
)
def test_words_are_separated_as_it_is_said(caption, words):
    assert words_of(caption) == words.split()


def test_a_vocabulary_has_the_words_that_are_frequent_enough_most_frequent_first():
    captions = [words.split() for words in ("b a c", "a c", "a d", "c e e")]
    assert vocabulary_of(captions) == (*SPECIAL, "a", "c", "e", "b", "d")
    assert vocabulary_of(captions, least=2) == (*SPECIAL, "a", "c", "e")
    assert vocabulary_of(captions, least=4) == SPECIAL


def test_tokens_are_start_words_end_and_padding_and_come_back_as_words():
    vocabulary = (*SPECIAL, "a", "dog", "<end>")  # a word is no special token, whatever it looks like
    numbers = numbered(vocabulary)
    tokens = encoded([["a", "dog"], ["a", "strange", "dog"], [], ["a"] * 7], numbers, 6)
    assert tokens.tolist() == [
        [START, 4, 5, END, PADDING, PADDING],
        [START, 4, UNKNOWN, 5, END, PADDING],
        [START, END, PADDING, PADDING, PADDING, PADDING],
        [START, 4, 4, 4, 4, 4],  # cut off, without an end
    ]
    assert [sentence(row, vocabulary) for row in tokens] == ["a dog", "a <unk> dog", "", "a a a a a"]
    assert SPECIAL[START] not in numbers
    assert numbers["<end>"] == 6


def test_a_batch_pads_captions_to_one_number():
    spec = {"captions": field_of(3, 4)}
    examples = [{"captions": encoded(captions, {"a": 4}, 4)} for captions in ([], [["a"]], [["a"], ["a", "a"]])]
    arrays = stacked(examples, spec)
    assert arrays["captions"].shape == (3, 3, 4)
    assert arrays["captions_valid"].sum(axis=1).tolist() == [0, 1, 2]
    assert not arrays["captions"][~arrays["captions_valid"]].any()
    np.testing.assert_array_equal(arrays["captions"][1, 0], [START, 4, END, PADDING])
    assert field_of(0, 4).most == (1,)  # there are no empty arrays on devices
