"""Pages hold counts and a few examples, never a split; and parts of a split that are merged are the whole."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.train.report.reading import undrawn
from train.report import Run
from train.tasks.classification.page import ClassPage
from train.tasks.joint.page import JointPage
from train.tasks.regression import page as regression
from train.tasks.regression.page import ValuePage
from train.tasks.sphere.page import SpherePage

RUN, NAMES = Run(Path("run")), tuple("abcdefg")
SIZE = 50


@pytest.fixture(scope="module", autouse=True)
def _undrawn():
    with undrawn():
        yield


def batch_of(number, side=8):
    """A batch of a split that has no end, its rows in order; many of its errors and confidences are equal."""
    random = np.random.default_rng(number)
    label, guess = random.integers(0, len(NAMES), (2, SIZE))
    guess = np.where(random.uniform(size=SIZE) < 0.6, label, guess)
    target = random.integers(0, 50, SIZE).astype(np.float32)
    logits = np.eye(len(NAMES), dtype=np.float32)[guess] * random.integers(1, 9, (SIZE, 1))
    logits[random.uniform(size=SIZE) < 0.01] = np.nan
    batch = {
        "image": random.integers(0, 256, (SIZE, side, side, 1), dtype=np.uint8),
        "label": label,
        "target": target,
        "index": np.arange(SIZE * number, SIZE * (number + 1)),
    }
    value = np.where(random.uniform(size=SIZE) < 0.01, np.inf, target + random.integers(-9, 10, SIZE))
    return batch, {"logits": logits, "cosines": logits / 9, "value": value.astype(np.float32)}


def fed(page, numbers):
    for number in numbers:
        page.add(*batch_of(number))
    return page


PAGES = {
    "labels": lambda: ClassPage(NAMES),
    "cosines": lambda: ClassPage(NAMES, "cosines"),
    "values": lambda: ValuePage("years"),
    "both": lambda: JointPage(NAMES, "years"),
    "sphere": lambda: SpherePage(ClassPage(NAMES, "cosines"), np.eye(7), NAMES),
}


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES.keys())
def test_parts_that_processes_saw_in_turn_or_one_after_the_other_are_the_page_of_the_whole(make):
    whole = fed(make(), range(20)).results(RUN)
    for parts in ((range(13), range(13, 20)), (range(0, 20, 2), range(1, 20, 2)), (range(20), ())):
        first, *others = (pickle.loads(pickle.dumps(fed(make(), part))) for part in parts)
        for other in others:
            first.merge(other)
        assert first.results(RUN) == whole


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES.keys())
def test_a_page_does_not_grow_with_the_split(make, monkeypatch):
    monkeypatch.setattr(regression, "PAIRS", 200)

    def weight(batches):
        return len(pickle.dumps(fed(make(), range(batches))))

    assert weight(160) < 1.02 * weight(16)


def test_images_are_kept_no_larger_than_they_are_shown():
    page = ClassPage(NAMES)
    for number in range(3):
        page.add(*batch_of(number, side=400))
    assert page.wrong.values["image"].shape == (24, 160, 160, 1)
    assert len(pickle.dumps(page)) < 36 * 160**2 * 1.1


def test_of_many_values_an_even_part_is_drawn_and_the_sums_are_of_all(monkeypatch):
    monkeypatch.setattr(regression, "PAIRS", 300)
    page = fed(ValuePage(), range(40))
    pairs = [batch_of(number) for number in range(40)]
    targets = np.concatenate([batch["target"] for batch, _ in pairs])
    values = np.concatenate([predicted["value"] for _, predicted in pairs])
    finite = np.isfinite(values)
    results = page.results(RUN)
    assert results.value == f"{np.abs(values - targets)[finite].mean():.3g}"
    assert f"300 of {finite.sum():,}".replace(",", "\u202f") in results.sections[0]
    rows = np.sort(page.pairs.rows)
    assert len(rows) == 300
    assert np.diff(rows).max() < 4 * 2000 / 300
