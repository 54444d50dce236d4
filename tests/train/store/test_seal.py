"""Seals and cards of numbers that are not finite: they are json, come back, and those of before are read."""

import dataclasses
import json
import math

import pytest

from train.config import Optimizer, Recipe, to_dict
from train.store import seal
from train.store.workdir import Workdir

ENDLESS = Recipe(optimizer=Optimizer(clip_norm=math.inf))


def strictly(path):
    """The json of a file, by what is json to everyone."""

    def refuse(word):
        raise AssertionError(f"{path.name} has {word}, which is no json")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "arrays").write_bytes(b"numbers")
    return folder


def test_an_infinite_field_of_a_recipe_comes_back_from_the_card_and_the_seal(tmp_path, folder):
    files = Workdir(tmp_path)
    files.write_card(ENDLESS, {})
    assert strictly(files.card)["recipe"]["optimizer"]["clip_norm"] == math.inf
    assert files.read_recipe() == ENDLESS
    seal.seal(folder, {}, {}, None, to_dict(ENDLESS))
    strictly(folder / seal.NAME)
    assert seal.verify(folder).recipe == json.loads(json.dumps(to_dict(ENDLESS)))


def test_metrics_that_are_not_finite_come_back_from_the_seal(folder):
    metrics = {"loss": math.nan, "error": math.inf, "accuracy": 0.5}
    seal.seal(folder, {}, {}, metrics, {})
    strictly(folder / seal.NAME)
    read = seal.verify(folder)
    assert math.isnan(read.metrics["loss"])
    assert (read.metrics["error"], read.metrics["accuracy"]) == (math.inf, 0.5)
    seal.amend(folder, read.progress, read.metrics)
    assert math.isnan(seal.verify(folder).metrics["loss"])


def test_files_with_pythons_words_for_them_which_earlier_versions_wrote_are_read(tmp_path, folder):
    recipe, metrics = to_dict(ENDLESS), {"loss": math.nan, "error": -math.inf}
    body = dataclasses.asdict(seal.Seal({}, {"loop": {"metrics": metrics}}, metrics, recipe, seal._digests(folder), 7))
    (folder / seal.NAME).write_text(json.dumps({"sha256": seal._digest_of(body), "seal": body}))
    assert {"Infinity", "NaN"} <= set((folder / seal.NAME).read_text().replace(",", " ").replace("}", " ").split())
    read = seal.verify(folder)
    assert math.isnan(read.metrics["loss"])
    assert read.metrics["error"] == -math.inf
    files = Workdir(tmp_path)
    files.card.write_text(json.dumps({"recipe": recipe}))
    assert files.read_recipe() == ENDLESS
