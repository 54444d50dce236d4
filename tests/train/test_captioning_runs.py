"""A whole run on a file of captions as COCO has them: it learns them by heart, says them, and the report shows them."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.train import harness
from train.config import Augment, Data, Model, Optimizer, Recipe, RecipeError, Schedule
from train.config.tasks.captioning import Captioning
from train.data.decode import read_picture
from train.engine.assemble import assemble
from train.report import theme
from train.use.evaluate import evaluate_run
from train.use.predict import predict_images

COLOURS = {"red": (200, 20, 20), "white": (230, 230, 230)}
SIDES = {"left": (slice(None), slice(0, 16)), "right": (slice(None), slice(16, None))}


def picture(colour, side):
    pixels = np.full((32, 32, 3), 60, np.uint8)
    pixels[SIDES[side]] = COLOURS[colour]
    return pixels


def write(folder):
    """The same four images as training and as test, with two captions each, and one word that is too rare."""
    for split in ("train", "val"):
        images, annotations = [], []
        (folder / split).mkdir(parents=True)
        for number, (colour, side) in enumerate((colour, side) for colour in COLOURS for side in SIDES):
            Image.fromarray(picture(colour, side)).save(folder / split / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "height": 32, "width": 32})
            for caption in (f"The {side} is {colour}.", f"the {side} is {colour}"):
                annotations.append({"id": len(annotations), "image_id": number, "caption": caption})
        annotations.append({"id": 99, "image_id": 0, "caption": "extraordinary"})
        file = folder / "annotations" / f"captions_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder / "annotations" / "captions_train.json"


def recipe_for(file, **task):
    return Recipe(
        name="halves",
        model=Model("captioner_tiny", options=("backbone=lenet5", "grid=2", "embed_size=32", "hidden_size=32")),
        data=Data(source=f"coco:{file}", batch_size=4, eval_batch_size=3, rare_below=2),
        augment=Augment(mean=(0.3,), std=(0.3,)),
        task=Captioning(words=8, **task),
        optimizer=Optimizer("adam", learning_rate=1e-2),
        schedule=Schedule("cosine"),
        epochs=100,
        eval_every=100,
        log_every=20,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DPI", 24)
        folder = tmp_path_factory.mktemp("captions")
        recipe = recipe_for(write(folder / "data"))
        yield folder, harness.run(recipe, folder / "run")


def test_captions_are_learned_by_heart_and_found_by_search(finished):
    _, outcome = finished
    assert outcome.metrics["bleu4"] == pytest.approx(100)
    assert 0.9 < outcome.metrics["token_accuracy"] < 1  # the rare word is sometimes next, and never said
    assert outcome.metrics["perplexity"] < 1.3


def test_the_card_has_the_vocabulary_of_the_training_captions(finished):
    folder, _ = finished
    card = json.loads((folder / "run" / "recipe.json").read_text())
    vocabulary = card["task"]["fitted"]["vocabulary"]
    assert sorted(vocabulary[4:]) == sorted({"the", "is", *COLOURS, *SIDES})
    assert card["metrics"][0]["name"] == "bleu4"


def test_files_are_predicted_with_their_captions_drawn_and_written_down(finished, tmp_path):
    folder, _ = finished
    files = tuple(tmp_path / f"{colour}.png" for colour in ("red", "white"))
    for file, side in zip(files, SIDES, strict=True):
        Image.fromarray(picture(file.stem, side)).resize((64, 64), Image.Resampling.NEAREST).save(file)
    records = predict_images(folder / "run", files, output=tmp_path / "out")
    assert [record["caption"] for record in records] == ["the left is red", "the right is white"]
    assert [record["text"] for record in records] == [record["caption"] for record in records]
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == json.loads(json.dumps(records))
    first, second = (read_picture(tmp_path / "out" / file.name) for file in files)
    assert first.size == second.size


def test_the_report_shows_images_beside_captions(finished):
    folder, outcome = finished
    page = (folder / "run" / "report.html").read_text()
    for said in ("test BLEU-4", "Captions unlike their references", "the right is red", "Said most often"):
        assert said in page
    assert evaluate_run(folder / "run")["bleu4"] == pytest.approx(outcome.metrics["bleu4"])


def test_a_task_without_captions_and_a_model_without_words_are_refused(tmp_path):
    file = write(tmp_path)
    with pytest.raises(RecipeError, match="expected a captioner, such as captioner_resnet50, got CifarResNet"):
        assemble(harness.dataclasses.replace(recipe_for(file), model=Model("cifar_resnet8")))
    with pytest.raises(RecipeError, match="captioning needs examples with captions; digits has none"):
        assemble(harness.dataclasses.replace(recipe_for(file), data=Data("digits")))
