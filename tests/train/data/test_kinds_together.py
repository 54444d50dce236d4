"""Fields of several kinds that are varied together, and what is refused because a rule is missing."""

import sys

import jax
import numpy as np
import pytest

from tests.train.data.every_kind import BATCH, FACTS, HEIGHT, WIDTH, batch_of, spec_of
from train.config import Augment, RecipeError
from train.data import Facts, Field, Kind, augment
from train.data.augment import RULES


@pytest.fixture(scope="module")
def bytes_batch():
    batch = batch_of()
    return {**batch, **{name: (255 * batch[name]).astype(np.uint8) for name in ("image", "clip")}}


def specs(*names):
    return {name: field for name, field in spec_of(HEIGHT, WIDTH).items() if name in names}


def test_an_image_among_other_fields_is_varied_as_alone(bytes_batch):
    config = Augment(pad_crop=3, flip=True, rotate=30.0, cutout=4)
    others = ("image", "label_map", "boxes", "classes")
    batch = {name: bytes_batch[name] for name in (*others, "boxes_valid", "classes_valid")}
    whole = jax.jit(augment(config, specs(*others), FACTS))(jax.random.key(1), batch)
    alone = jax.jit(augment(config, specs("image")))(jax.random.key(1), {"image": bytes_batch["image"]})
    np.testing.assert_array_equal(whole["image"], alone["image"])
    assert whole["image"].dtype == np.float32
    assert whole.keys() == batch.keys()


def test_frames_and_second_images_get_the_same_hole_and_the_same_share(bytes_batch):
    image = bytes_batch["image"]
    clip = np.stack([image, image], axis=1)
    spec = {**specs("image", "clip", "label", "classes"), "image2": specs("image")["image"]}
    labels = {name: bytes_batch[name] for name in ("label", "classes", "classes_valid")}
    batch = {"image": image, "image2": image, "clip": clip, **labels}
    config = Augment(cutout=4, mixup=0.5, cutmix=0.5, mean=(0.5,), std=(0.25,))
    mixed = jax.jit(augment(config, spec, mixes=("label", "classes")))(jax.random.key(2), batch)
    np.testing.assert_array_equal(mixed["image"], mixed["image2"])
    for frame in range(2):
        np.testing.assert_array_equal(mixed["image"], mixed["clip"][:, frame])
    for name in ("label", "classes", "classes_valid"):
        other = "classes_b_valid" if name == "classes_valid" else f"{name}_b"
        np.testing.assert_array_equal(mixed[other], batch[name][::-1])
    assert mixed["mix"].shape == (BATCH,)


MOVED = ("label_map", "map", "flow", "normals", "boxes", "keypoints", "masks")


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize(
    "move", [{"trivial": True}, {"mixup": 1.0}, {"cutmix": 1.0}], ids=lambda move: next(iter(move))
)
def test_what_moves_pixels_without_a_rule_for_a_kind_is_refused(move, name):
    (called,) = move
    field = spec_of(HEIGHT, WIDTH)[name]
    with pytest.raises(RecipeError, match=rf"augment\.{called}: no rule for field '{name}' \({field.kind}\)"):
        augment(Augment(**move), specs("image", "label", name), mixes=("label",))


def test_a_pair_that_is_not_in_the_table_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["train.data.augment"], "RULES", RULES - {("rotate", Kind.NORMALS)})
    with pytest.raises(RecipeError, match=r"augment\.rotate: no rule for field 'normals' \(normals\)"):
        augment(Augment(rotate=5.0), spec_of(HEIGHT, WIDTH))
    augment(Augment(flip=True), spec_of(HEIGHT, WIDTH))


@pytest.mark.parametrize("move", ["flip", "erase"])
def test_what_has_no_pixels_cannot_be_moved(move):
    with pytest.raises(RecipeError, match=rf"augment\.{move}: expected examples with an image, found tokens int32"):
        augment(Augment(**{move: 1 if move == "erase" else True}), specs("tokens"))


def test_fields_of_several_sizes_cannot_be_moved_alike():
    spec = {**specs("image"), "label_map": Field(Kind.LABEL_MAP, (5, 6), "int32")}
    with pytest.raises(RecipeError, match=r"expected fields of one height and width, found image .*, label_map"):
        augment(Augment(flip=True), spec)
    augment(Augment(erase=0.5), spec)


def test_pairs_of_points_that_are_not_there_are_refused():
    with pytest.raises(RecipeError, match=r"expected pairs of the 3 points of 'keypoints', got \(\(2, 3\),\)"):
        augment(Augment(flip=True), specs("image", "keypoints"), Facts(mirror=((2, 3),)))
