"""What varies an image does to a class of each column and to words: a mirror image has its right at the left."""

import jax
import numpy as np
import pytest

from train.config import Augment, DataError, RecipeError
from train.data import ArraySource, Facts, Field, Kind, augment
from train.data.augment import geometry
from train.data.augment.geometry import Mirror, Shift
from train.data.augment.moves import At
from train.data.captions import SPECIAL, UNKNOWN, encoded, field_of, mirrored_words, numbered, sentence
from train.data.framing import Framed, Windows
from train.data.sources.rotated import Rotated
from train.data.sources.scene_captions import VOCABULARY, captions_of

HEIGHT, WIDTH, PAD, IGNORE = 4, 7, 3, -5
IMAGE = Field(Kind.IMAGE, (HEIGHT, WIDTH, 1), "uint8")
TAGS = Field(Kind.COLUMNS, (WIDTH,), "int32")
RANDOM = np.random.default_rng(0)
BATCH = {
    "image": RANDOM.integers(0, 256, (3, HEIGHT, WIDTH, 1)).astype(np.uint8),
    "tags": RANDOM.integers(0, 9, (3, WIDTH)).astype(np.int32),
}


def moved(name, batch, drawn, spec, facts):
    after = geometry.move(name, batch, drawn, spec, At(HEIGHT, WIDTH, facts))
    return {field: np.asarray(value) for field, value in after.items()}


def test_columns_are_mirrored_with_their_image_each_up_to_its_own_width():
    spec, facts = {"image": IMAGE, "tags": TAGS}, Facts(ignore=IGNORE)
    after = moved("flip", BATCH, Mirror(np.array([True, False, True])), spec, facts)
    for name in ("image", "tags"):
        turned = BATCH[name][:, :, ::-1] if name == "image" else BATCH[name][:, ::-1]
        np.testing.assert_array_equal(after[name][[0, 2]], turned[[0, 2]])
        np.testing.assert_array_equal(after[name][1], BATCH[name][1])
    narrow = moved("flip", BATCH, Mirror(np.ones(3, bool), np.array([7, 2, 4])), spec, facts)
    assert narrow["tags"][1].tolist() == [*BATCH["tags"][1, [1, 0]], *BATCH["tags"][1, 2:]]


def test_columns_that_come_in_from_outside_have_no_class():
    shift = Shift(np.array([0, 3, 6]), np.array([0, 4, 6]), PAD)
    after = moved("pad_crop", BATCH, shift, {"image": IMAGE, "tags": TAGS}, Facts(ignore=IGNORE))
    padded = np.pad(BATCH["tags"], ((0, 0), (PAD, PAD)), constant_values=IGNORE)
    for row, left in enumerate(shift.left):
        assert after["tags"][row].tolist() == padded[row, left : left + WIDTH].tolist()


@pytest.mark.parametrize(
    "move", [{"rotate": 5.0}, {"trivial": True}, {"mixup": 1.0}], ids=lambda move: next(iter(move))
)
def test_what_turns_or_mixes_columns_is_refused(move):
    with pytest.raises(RecipeError, match=rf"augment\.{next(iter(move))}: no rule for field 'tags' \(columns\)"):
        augment(Augment(**move), {"image": IMAGE, "tags": TAGS}, mixes=("tags",))
    augment(Augment(cutout=2, erase=0.5), {"image": IMAGE, "tags": TAGS})


def test_windows_and_turned_data_have_no_rule_for_columns():
    source = ArraySource("some", BATCH, {"image": IMAGE, "tags": TAGS})
    with pytest.raises(RecipeError, match=r"data\.crop: no rule for field 'tags' \(columns\)"):
        Framed(source, Windows(4, 4))
    with pytest.raises(DataError, match=r"data\.rotate: no rule for field 'tags' \(columns\)"):
        Rotated(source, -5.0, 5.0, 0)


def test_words_that_say_a_side_change_places_and_a_word_without_its_counterpart_is_unknown():
    words = (*SPECIAL, "left", "a", "right", "leftmost", "lefts", "right-hand", "left-hand")
    assert mirrored_words(words).tolist() == [0, 1, 2, 3, 6, 5, 4, UNKNOWN, 8, 10, 9]
    assert mirrored_words(SPECIAL).tolist() == [0, 1, 2, 3]


def test_captions_of_a_mirrored_scene_say_where_its_digits_are_then():
    """Beside the rule that captions scenes, of boxes that are mirrored themselves."""
    boxes = np.array([[0, 1, 2, 3], [3, 1, 5, 3], [5, 0, 7, 2]], np.float32)
    apart = np.array([[0, 0, 2, 1], [0, 3, 2, 4]], np.float32)
    labels = np.array([3, 7, 8])
    numbers, spec = numbered(VOCABULARY), {"image": IMAGE, "captions": field_of(5, 11)}
    captions = np.zeros((3, 5, 11), np.int32)
    for row, (some, where) in enumerate(((labels, boxes), (labels[:2], apart), (labels, boxes))):
        captions[row] = encoded([said.split() for said in captions_of(some, where)], numbers, 11)
    batch = {"image": BATCH["image"], "captions": captions, "captions_valid": np.ones((3, 5), bool)}
    facts = Facts(vocabulary=VOCABULARY)
    once = moved("flip", batch, Mirror(np.array([True, True, False])), spec, facts)
    said = [[sentence(tokens, VOCABULARY) for tokens in of_image] for of_image in once["captions"]]
    mirrored = boxes * [-1, 1, -1, 1] + [WIDTH, 0, WIDTH, 0]
    expected = captions_of(labels, mirrored[:, [2, 1, 0, 3]])
    assert set(said[0][:2]) == set(expected[:2]) == {"a three right of an eight", "an eight left of a three"}
    assert said[0][3] == "three digits with a three right of an eight"
    assert said[1] == captions_of(labels[:2], apart)  # above and below stay
    assert said[2] == captions_of(labels, boxes)
    twice = moved("flip", once, Mirror(np.array([True, True, False])), spec, facts)
    np.testing.assert_array_equal(twice["captions"], captions)


def test_a_shift_leaves_words_and_so_does_a_flip_of_tokens_that_nobody_explains():
    spec = {"image": IMAGE, "captions": field_of(1, 6)}
    tokens = encoded([["left", "a"]] * 3, {"left": 4, "a": 5}, 6)[:, None]
    batch = {"image": BATCH["image"], "captions": tokens, "captions_valid": np.ones((3, 1), bool)}
    shift = Shift(np.zeros(3, int), np.zeros(3, int), PAD)
    facts = Facts(vocabulary=(*SPECIAL, "left", "a"))
    np.testing.assert_array_equal(moved("pad_crop", batch, shift, spec, facts)["captions"], tokens)
    every = Mirror(np.ones(3, bool))
    np.testing.assert_array_equal(moved("flip", batch, every, spec, Facts())["captions"], tokens)
    assert moved("flip", batch, every, spec, facts)["captions"][0, 0, 1] == UNKNOWN


def test_a_recipe_that_flips_mirrors_captions_with_their_images():
    images = RANDOM.integers(0, 256, (8, HEIGHT, WIDTH, 1)).astype(np.uint8)
    captions = RANDOM.integers(4, len(VOCABULARY), (8, 2, 6)).astype(np.int32)
    batch = {"image": images, "captions": captions, "captions_valid": np.ones((8, 2), bool)}
    spec = {"image": IMAGE, "captions": field_of(2, 6)}
    varied = jax.jit(augment(Augment(flip=True), spec, Facts(vocabulary=VOCABULARY)))(jax.random.key(0), batch)
    flipped = np.array([not np.allclose(*pair) for pair in zip(varied["image"], images / 255, strict=True)])
    assert 0 < flipped.sum() < 8
    np.testing.assert_array_equal(varied["captions"][~flipped], captions[~flipped])
    np.testing.assert_array_equal(varied["captions"][flipped], mirrored_words(VOCABULARY)[captions[flipped]])
    assert (varied["captions"] != captions).any()
