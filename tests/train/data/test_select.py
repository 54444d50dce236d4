"""Parts of a source: even, unequal and some classes; and the split that keeps each class's share."""

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split

from tests.train.data.examples import Counting
from tests.train.data.sources.test_coco import annotation, dataset
from tests.train.data.sources.test_coco import write as write_coco
from tests.train.data.sources.test_masks import write as write_masks
from train.config import Data
from train.data import ArraySource, DataError, Facts, Field, Kind, in_memory, load, load_both
from train.data.select import OfClasses, balanced_subset, imbalanced_subset, labels_of, set_aside, stratified_split
from train.data.sources.clips import ClipSource
from zoo.names import UnknownNameError

LABELS = np.repeat(np.arange(4, dtype=np.int32), 25)
IMAGES = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
SOURCE = ArraySource("hundred", {"image": IMAGES, "label": LABELS}, facts=Facts(("ant", "bee", "cat", "dog")))


def test_stratified_split_gives_each_class_the_share_that_scikit_learn_gives():
    labels = np.repeat([3, 1, 7], [50, 30, 21])
    train, test = stratified_split(labels, 20, seed=1)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(101))
    _, theirs = train_test_split(labels, test_size=20, stratify=labels, random_state=0)
    assert np.array_equal(np.bincount(labels[test]), np.bincount(theirs))
    assert np.array_equal(test, stratified_split(labels, 20, seed=1)[1])
    assert not np.array_equal(test, stratified_split(labels, 20, seed=2)[1])


def test_stratified_split_never_takes_the_last_example_of_a_class():
    train, test = stratified_split(np.array([0] * 8 + [1]), held_out=5)
    assert 8 in train
    assert len(test) == 5


def test_balanced_subset_is_even_over_classes_and_reads_labels_only():
    source = Counting(3000)
    subset = balanced_subset(source, 10)
    rows = subset._rows
    assert sorted(np.bincount(rows % 3)) == [3, 3, 4]
    assert len(np.unique(rows)) == 10
    assert source.images_read == 0
    assert source.labels_read < 60
    assert np.array_equal(rows, balanced_subset(Counting(3000), 10)._rows)
    assert not np.array_equal(rows, balanced_subset(Counting(3000), 10, seed=1)._rows)


def test_balanced_subset_fills_up_from_other_classes_where_one_is_too_small():
    labels = np.array([0] * 20 + [1] * 2, np.int32)
    arrays = {"image": np.zeros((22, 2, 2, 1), np.uint8), "label": labels}
    source = ArraySource("skewed", arrays, facts=Facts(("a", "b")))
    assert np.array_equal(np.bincount(balanced_subset(source, 12).arrays()["label"]), [10, 2])


def test_balanced_subset_of_a_regression_source_is_drawn_at_random():
    source = ArraySource("angles", {"image": np.zeros((50, 2, 2, 1), np.uint8), "target": np.arange(50.0)})
    targets = balanced_subset(source, 10).arrays()["target"]
    assert len(np.unique(targets)) == 10
    assert targets.max() > 20


def test_what_is_set_aside_is_a_share_of_each_class_of_what_there_is_to_learn_from():
    config = Data("digits", validation=0.25)
    whole = load(Data("digits"), "train").arrays()
    kept, aside = (part.arrays() for part in load_both(config))
    assert np.array_equal(load(config, "test").arrays()["label"], aside["label"])
    assert len(kept["label"]) == len(whole["label"]) - len(aside["label"])
    together = np.concatenate([kept["image"], aside["image"]]).reshape(len(whole["label"]), -1)
    assert np.array_equal(np.unique(together, axis=0), np.unique(whole["image"].reshape(together.shape), axis=0))
    _, theirs = train_test_split(whole["label"], test_size=0.25, stratify=whole["label"], random_state=0)
    assert np.abs(np.bincount(aside["label"]) - np.bincount(theirs)).max() <= 1


@pytest.mark.parametrize("layout", ["npz", "scenes"])
def test_of_examples_without_a_class_some_are_set_aside_at_random(layout, tmp_path):
    if layout == "npz":
        where = tmp_path / "some.npz"
        np.savez(where, image=np.zeros((50, 2, 2, 1), np.uint8), target=np.arange(50.0))
        kept, aside = load_both(Data(f"npz:{where}", held_out=10, validation=0.25))
        targets = [np.asarray(part.arrays()["target"]) for part in (kept, aside)]
        assert [len(each) for each in targets] == [30, 10]
        learned = load(Data(f"npz:{where}", held_out=10), "train").arrays()["target"]
        assert np.array_equal(np.sort(np.concatenate(targets)), np.sort(learned))
        assert targets[1].max() > 20
    else:
        assert [len(part) for part in load_both(Data("scenes:40", validation=0.1))] == [36, 4]


def test_parts_of_one_film_are_set_aside_together(tmp_path):
    for label in ("jump", "run"):
        for film, part in np.ndindex(4, 3):
            folder = tmp_path / label / f"v_{label}_g{film:02}_c{part:02}"
            folder.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / f"{number}.png")
    source = ClipSource("clips", *labelled(tmp_path), ("jump", "run"), any_size=False)
    kept, aside = (set_aside(source, 0.25, split) for split in ("train", "test"))
    films = [set(zip(labels_of(part).tolist(), part.groups.tolist(), strict=True)) for part in (kept, aside)]
    assert [len(part) for part in (kept, aside)] == [18, 6]
    assert not films[0] & films[1]


def test_films_that_are_all_a_class_has_are_not_set_aside(tmp_path):
    for label in ("jump", "run"):
        for part in range(2):
            (tmp_path / label / f"v_{label}_g01_c{part:02}").mkdir(parents=True)
    source = ClipSource("clips", *labelled(tmp_path), ("jump", "run"), any_size=True)
    with pytest.raises(DataError, match=r"data\.validation: expected two examples or films of a class"):
        set_aside(source, 0.5, "test")


def labelled(root):
    """Folders of frames, and the number of each one's class."""
    classes = sorted(root.iterdir())
    found = [(clip, label) for label, folder in enumerate(classes) for clip in sorted(folder.iterdir())]
    return [clip for clip, _ in found], [label for _, label in found]


@pytest.mark.parametrize("held_out", [0, 2])
def test_what_is_set_aside_has_the_crowds_that_a_test_has(held_out, tmp_path):
    crowds = [annotation(i + 100, i, iscrowd=1) for i in range(10)]
    file = write_coco(
        tmp_path, dataset([annotation(i, i) for i in range(10)] + crowds, [(i, f"{i}.png") for i in range(10)])
    )
    kept, aside = load_both(Data(f"coco:{file}", held_out=held_out, validation=0.5))
    assert [len(part) for part in (kept, aside)] == [4, 4]
    assert [len(part[0]["is_crowd"]) for part in (kept, aside)] == [1, 2]


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(DataError, match=r"data\.validation: expected a share that sets aside 1 to 99 of the 100"):
        set_aside(SOURCE, share, "train")


def test_a_graph_which_is_one_example_is_not_divided():
    with pytest.raises(DataError, match=r"data\.validation: expected several examples, .* has one to learn from"):
        load(Data("karate", validation=0.5), "train")


@pytest.mark.parametrize("layout", ["masks", "folder", "npz", "coco"])
def test_as_many_are_held_out_as_a_recipe_says(layout, tmp_path):
    """Of sources that do not say which are the test; the same ones each time, and each once."""
    images = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 4, 6, 3))
    match layout:
        case "masks":
            where = write_masks(tmp_path, count=10)
        case "coco":
            where = write_coco(tmp_path, dataset([], [(i, f"{i}.png") for i in range(10)]))
        case "npz":
            where = tmp_path / "some.npz"
            np.savez(where, image=images, target=np.arange(10.0))
        case "folder":
            where = tmp_path
            for i, image in enumerate(images):
                (where / "ab"[i % 2]).mkdir(exist_ok=True)
                Image.fromarray(image).save(where / "ab"[i % 2] / f"{i}.png")
    for held_out, test in ((0, 2), (4, 4)):
        parts = load_both(Data(f"{layout}:{where}", held_out=held_out))
        values = [[int(source[row]["image"][0, 0, 0]) for row in range(len(source))] for source in parts]
        assert (len(values[1]), sorted(values[0] + values[1])) == (test, list(range(10)))
        assert len(load(Data(f"{layout}:{where}", held_out=held_out), "train")) == 10 - test
    with pytest.raises(DataError, match=r"data\.held_out: expected fewer than the 10 examples of .*, got 10"):
        load_both(Data(f"{layout}:{where}", held_out=10))


@pytest.mark.parametrize("layout", ["folder", "npz", "coco"])
def test_of_a_source_with_a_test_of_its_own_no_other_can_be_held_out(layout, tmp_path):
    image = np.zeros((4, 6, 3), np.uint8)
    match layout:
        case "coco":
            for part in ("train", "val"):
                where = write_coco(tmp_path, dataset([], [(1, f"{part}.png")]), name=f"{part}.json")
            where = tmp_path / "train.json"
        case "npz":
            where = tmp_path / "some.npz"
            np.savez(where, image=image[None], target=[1.0], test_image=image[None], test_target=[2.0])
        case "folder":
            where = tmp_path
            for place in ("train/a", "train/b", "test/a", "test/b"):
                (where / place).mkdir(parents=True)
                Image.fromarray(image).save(where / place / "0.png")
    assert [len(part) for part in load_both(Data(f"{layout}:{where}"))][1] > 0
    with pytest.raises(DataError, match=rf"data\.held_out: {layout}:.* has a test of its own: expected 0, got 1"):
        load_both(Data(f"{layout}:{where}", held_out=1))


def test_a_limit_of_scenes_is_drawn_at_random_and_keeps_every_field():
    whole, few = load(Data("scenes"), "train"), load(Data("scenes", limit=5), "train")
    rows = few._rows
    assert len(few) == 5
    for name, array in few.arrays().items():
        np.testing.assert_array_equal(array, whole.arrays()[name][rows])


def test_a_limit_below_one_is_refused_and_one_beyond_the_data_takes_all_and_says_so():
    with pytest.raises(DataError, match="limit=0: expected 1 or more"):
        balanced_subset(Counting(30), 0)
    with pytest.warns(UserWarning, match=r"data\.limit: 31 is more than the 30 examples of counting: all are taken"):
        found = balanced_subset(Counting(30), 31)
    assert [found.peek(row, "label") for row in range(30)] == [Counting(30).peek(row, "label") for row in range(30)]
    assert len(found) == 30


def test_the_unit_of_targets_stays_with_a_part_of_the_source_and_a_copy_in_memory():
    arrays = {"image": np.zeros((5, 2, 2, 1), np.uint8), "target": np.arange(5.0)}
    source = ArraySource("angles", arrays, facts=Facts(unit="degrees"))
    assert in_memory(balanced_subset(source, 2)).facts.unit == "degrees"


def test_classes_are_kept_by_name_and_numbered_in_that_order():
    part = OfClasses(SOURCE, ("dog", "bee"))
    assert (len(part), part.facts.classes) == (50, ("dog", "bee"))
    kept = part.arrays()
    np.testing.assert_array_equal(kept["image"][:, 0, 0, 0], np.r_[25:50, 75:100])
    np.testing.assert_array_equal(kept["label"], np.repeat([1, 0], 25))
    assert kept["label"].dtype == np.int32
    assert (part.peek(0, "label"), int(part[30]["label"]), int(part[30]["image"][0, 0, 0])) == (1, 0, 80)
    assert int(part.peek(30, "image")[0, 0, 0]) == 80
    with pytest.raises(UnknownNameError, match="cow"):
        OfClasses(SOURCE, ("cow",))
    with pytest.raises(DataError, match="each class once, got bee, bee"):
        OfClasses(SOURCE, ("bee", "bee"))
    with pytest.raises(DataError, match="nameless has no classes"):
        OfClasses(ArraySource("nameless", {"image": IMAGES}), ("bee",))


def test_classes_of_objects_are_no_classes_of_examples():
    for config in (Data("scenes", classes=("1", "2")), Data("scenes", per_class=(1, 2))):
        with pytest.raises(DataError, match="scenes has no classes"):
            load(config, "train")


def test_classes_are_not_numbered_anew_where_label_maps_number_them_too():
    spec = {**SOURCE.spec, "label_map": Field(Kind.LABEL_MAP, (4, 4), "int32")}
    source = ArraySource(
        "mapped", {**SOURCE.arrays(), "label_map": np.zeros((100, 4, 4), np.int32)}, spec, SOURCE.facts
    )
    with pytest.raises(DataError, match=r"data\.classes: no rule for field 'label_map' \(label_map\)"):
        OfClasses(source, ("dog", "bee"))


def test_later_classes_have_evenly_more_examples():
    part = imbalanced_subset(SOURCE, 2, 20)
    np.testing.assert_array_equal(np.bincount(part.arrays()["label"]), [2, 8, 14, 20])
    again = imbalanced_subset(SOURCE, 2, 20)
    np.testing.assert_array_equal(part.arrays()["image"], again.arrays()["image"])
    of_hundred = np.linspace(2, 200, 100).round()  # CIFAR-100's, as in the paper
    np.testing.assert_array_equal(of_hundred, np.arange(2, 201, 2))
    with pytest.raises(DataError, match="expected 30 examples of dog, hundred has 25"):
        imbalanced_subset(SOURCE, 2, 30)


def test_a_recipe_names_the_part_of_any_source():
    part = Data("digits", classes=("3", "7"), rotate=(0.0, 90.0))
    train, test = (load(part, split) for split in ("train", "test"))
    assert train.facts.classes == test.facts.classes == ("3", "7")
    assert set(train.arrays()["label"].tolist()) == {0, 1}
    assert (train.arrays()["target"][:36] != test.arrays()["target"][:36]).any()
    few = load(Data("digits", per_class=(2, 20)), "train")
    np.testing.assert_array_equal(np.bincount(few.arrays()["label"]), range(2, 21, 2))
    assert len(load(Data("digits", per_class=(2, 20)), "test")) == 360
