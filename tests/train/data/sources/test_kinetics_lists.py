"""Kinetics' lists: clips are found wherever they lie, have the list's class, and those that are gone are counted."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

from tests.train.data.test_video_file import written
from train.config import Data
from train.data import DataError, load_both
from train.data.sources.clips import clips_splits

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
TRAIN = HEADER + (
    "petting animal (not cat),-a_B,7,17,train,0\n"
    '"yoga, and more",ccc,0,10,train,0\n'
    "archery,ddd,100,110,train,1\n"
    "archery,eee,0,10,train,1\n"
)
VALIDATE = HEADER + 'archery,fff,3,13,validate,0\n"yoga, and more",ggg,4,14,validate,0\n'
FILES = (
    "archery/ddd_000100_000110.mp4",
    "deep/er/-a_B_000007_000017.mkv",
    "ccc_000000_000010.mp4",
    "val/fff_000003_000013.mp4",
)
"""Of six clips four, in folders of the class or of the split, or in none."""


def laid_out(root, files=FILES, **lists):
    (root / "clips").mkdir()
    for name in files:
        (root / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "clips" / name).write_bytes(b"")
    for name, text in lists.items():
        (root / f"{name}.csv").write_text(text)
    return f"{root / 'clips'}@{root / next(iter(lists), 'train')}.csv"


def known(path):
    """Each split's clips and their classes, the classes, and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        splits = clips_splits(path, any_size=True)
    classes = splits["train"].facts.classes
    found = {
        split: {source.source.files[row].stem: classes[source[i]["label"]] for i, row in enumerate(source._rows)}
        for split, source in splits.items()
    }
    return found, classes, [str(each.message) for each in said]


EXPECTED = {
    "train": {
        "-a_B_000007_000017": "petting animal (not cat)",
        "ccc_000000_000010": "yoga, and more",
        "ddd_000100_000110": "archery",
    },
    "test": {"fff_000003_000013": "archery"},
}


def test_clips_have_the_class_of_the_list_wherever_they_lie(tmp_path):
    found, classes, said = known(laid_out(tmp_path, train=TRAIN, validate=VALIDATE))
    assert found == EXPECTED
    assert classes == ("archery", "petting animal (not cat)", "yoga, and more")
    (once,) = said
    assert "train.csv: 2 of 6 clips are not in" in once
    assert once.endswith("such as eee_000000_000010")


def test_one_list_may_hold_both_splits(tmp_path):
    both = TRAIN + VALIDATE.removeprefix(HEADER) + "archery,hhh,0,10,test,0\n"
    assert known(laid_out(tmp_path, kinetics=both))[0] == EXPECTED


def test_a_list_of_the_test_without_labels_is_passed_over_for_one_with(tmp_path):
    test = "youtube_id,time_start,time_end,split\nfff,3,13,test\n"
    assert known(laid_out(tmp_path, train=TRAIN, val=VALIDATE, test=test))[0] == EXPECTED


def test_where_all_clips_are_there_nothing_is_said(tmp_path):
    files = (*FILES, "eee_000000_000010.mp4", "ggg_000004_000014.mp4")
    assert known(laid_out(tmp_path, files, train=TRAIN, validate=VALIDATE))[2] == []


def test_a_class_of_which_no_clip_is_left_keeps_its_number(tmp_path):
    classes = known(laid_out(tmp_path, FILES[1:], train=TRAIN, validate=VALIDATE))[1]
    assert classes[0] == "archery"


def test_real_clips_are_decoded(tmp_path):
    path = laid_out(tmp_path, FILES[2:3], train=TRAIN, validate=VALIDATE)
    for shade, name in ((60, FILES[0]), (120, FILES[2]), (180, FILES[3])):
        file = tmp_path / "clips" / name
        file.parent.mkdir(exist_ok=True)
        written(file, np.full((4, 32, 48, 3), shade, np.uint8), [Fraction(i, 10) for i in range(4)])
    with pytest.warns(UserWarning, match="3 of 6 clips are not in"):
        train, test = load_both(Data(f"clips:{path}", frames=4))
    shades = {int(each["label"]): each["clip"].mean() for each in (train[row] for row in range(len(train)))}
    assert shades == {0: pytest.approx(60, abs=4), 2: pytest.approx(120, abs=4)}
    assert test[0]["clip"].mean() == pytest.approx(180, abs=4)


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({}, r"train\.csv: expected a list of clips that can be read"),
        ({"train": TRAIN}, r"train\.csv: expected validate\.csv or val\.csv or test\.csv beside it, found none"),
        ({"clips400": TRAIN}, r"clips400\.csv: expected the list of training clips, whose name says train, or a col"),
        ({"train": HEADER, "val": VALIDATE}, r"train\.csv: expected a clip a line, found none"),
        ({"train": "label,id\narchery,ddd\n", "val": VALIDATE}, r"expected the columns label, youtube_id.* found \['l"),
        ({"train": TRAIN + "archery,hhh,1,x,train,0\n"}, r"train\.csv, line 6: expected seconds .* found \['1', 'x'\]"),
        ({"train": TRAIN + "archery,hhh,9,9,train,0\n"}, "line 6: expected a label, .* that ends after"),
        ({"train": TRAIN + ",hhh,0,9,train,0\n"}, "line 6: expected a label, a video"),
        ({"train": TRAIN + "archery,hhh\n"}, r"line 6: expected seconds .* found \[None, None\]"),
        ({"train": TRAIN, "val": HEADER + "archery,ccc,0,10,val,0\n"}, "one class and one split .* of ccc_000000_0000"),
        ({"train": TRAIN, "val": HEADER + "opera,fff,3,13,val,0\n"}, "expected clips of class 'opera', as the te"),
        ({"train": TRAIN, "val": HEADER + "archery,zzz,3,13,val,0\n"}, r"such as zzz_000003_000013\.mp4, found none"),
        ({"all": VALIDATE}, r"all\.csv: expected clips for training, found none"),
    ],
)
def test_lists_that_are_not_of_this_form_are_named(tmp_path, lists, said):
    with pytest.raises(DataError, match=said):
        clips_splits(laid_out(tmp_path, **lists), any_size=True)


def test_a_list_needs_a_folder(tmp_path):
    path = laid_out(tmp_path, train=TRAIN, validate=VALIDATE)
    with pytest.raises(DataError, match="elsewhere: expected a folder of clips, found nothing"):
        clips_splits(path.replace("clips@", "elsewhere@"), any_size=True)
