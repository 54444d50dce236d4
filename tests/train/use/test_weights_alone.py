"""A model by name with weights alone: it says what the run says, and sees images as the published preset does."""

import dataclasses
import json

import jax
import numpy as np
import PIL.Image
import pytest
import scipy.special

import zoo
from train import cli
from train.config import Data
from train.data import load
from train.engine.console import Console
from train.use.classifier import Classifier, classifier_of
from train.use.evaluate import evaluate_classifier, evaluate_run
from train.use.predict import predict_by_classifier, predict_images
from train.use.with_weights import WeightsAloneError
from zoo.catalog.pretrained import CIFAR10, table

QUIET = Console(quiet=True)
NORMALISED = {"mean": (0.3,), "std": (0.2,)}
"""As the recipe of the shared run says."""


@pytest.mark.usefixtures("runs")
def test_a_run_s_weights_alone_measure_and_predict_as_the_run(whole, data, tmp_path):
    classifier = classifier_of("tiny", str(whole[0] / "model.safetensors"), **NORMALISED)
    assert classifier.sees == "resized to 8x8 pixels, in [0, 1], less 0.3, divided by 0.2"
    found = evaluate_classifier(classifier, Data(f"npz:{data}", eval_batch_size=8), QUIET)
    expected = {name: value for name, value in evaluate_run(whole[0], console=QUIET).items() if "ema" not in name}
    assert found == pytest.approx(expected, abs=1e-6)

    file = tmp_path / "digit.png"
    PIL.Image.fromarray(load(Data(f"npz:{data}"), "test")[0]["image"][..., 0]).save(file)
    (record,) = predict_by_classifier(classifier, (file,), tmp_path / "to", QUIET)
    (of_run,) = predict_images(whole[0], (file,), console=QUIET)
    scores = {f"class {name}": score for name, score in of_run["scores"]}
    assert dict(record["scores"]) == pytest.approx(scores, abs=1e-6)
    assert json.loads((tmp_path / "to/predictions.json").read_text())[0]["text"] == record["text"]
    assert (tmp_path / "to/digit.png").stat().st_size


@pytest.fixture
def published(tmp_path, monkeypatch):
    """cifar_resnet8 with weights that somebody published, in the cache; returns the variables."""
    row = dataclasses.replace(
        table()["cifar_resnet20"][0], name="MADE_UP", url="http://127.0.0.1/w.safetensors", sha256=""
    )
    monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: {"cifar_resnet8": (row,)})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shapes = jax.eval_shape(lambda: zoo.init(zoo.create("cifar_resnet8"), jax.random.key(0), (32, 32, 3)))
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: random.uniform(0.1, 0.3, leaf.shape).astype(leaf.dtype), shapes)
    head = variables["params"]["head"]
    head["kernel"] = random.standard_normal(head["kernel"].shape).astype(np.float32)
    folder = tmp_path / "cache" / "lecture-vision-zoo" / "weights"
    folder.mkdir(parents=True)
    zoo.save_weights(variables, folder / "w.safetensors")
    return variables


def test_published_weights_see_images_as_their_preset_says_and_know_classes_by_name(published, tmp_path, capsys):
    random, files = np.random.default_rng(1), []
    for split, names in (("train", ("a.png",)), ("val", ("b.png", "c.png", "d.png"))):
        for label in ("cat", "truck"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for i, name in enumerate(names):
                pixels = random.integers(0, 256, (36 + i, 40, 3), np.uint8)
                PIL.Image.fromarray(pixels).save(folder / name)
                files += [(folder / name, CIFAR10.index(label))] if split == "val" else []
    images = np.stack([zoo.preprocess("cifar_resnet8", "MADE_UP")(file) for file, _ in files])
    logits = np.asarray(jax.jit(zoo.create("cifar_resnet8").apply)(published, images), np.float64)
    labels = np.array([label for _, label in files])
    named = ["--weights", "MADE_UP", "--model.name", "cifar_resnet8"]

    source = ["--data.source", f"folder:{tmp_path}/images", "--data.eval-batch-size", "4"]
    assert cli.main(["evaluate", *named, *source]) == 0
    printed = capsys.readouterr().out
    assert f"{100 * np.mean(logits.argmax(axis=1) == labels):.2f} %" in printed
    losses = -scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    assert f"{losses.mean():.3g}" in printed
    assert "cifar_resnet8 (MADE_UP), 6 held-out examples" in printed
    assert "images: as for MADE_UP" in printed

    assert cli.main(["predict", *named, *(str(file) for file, _ in files[:2])]) == 0
    printed = capsys.readouterr().out
    assert all(CIFAR10[row.argmax()] in printed for row in logits[:2])


def of_classes(*names, has_names=True):
    return Classifier("net (w)", None, {}, names, has_names, None, "", np.zeros(1), np.ones(1))


def test_classes_of_the_data_are_known_by_name_or_by_place():
    assert of_classes("cat", "dog", "owl").output_of(("owl", "cat"), "d") == (2, 0)
    assert of_classes("crane", "owl", "crane").output_of(("crane", "owl", "crane"), "d") == (0, 1, 2)
    assert of_classes("cat", "dog").output_of(("n01", "n02"), "d") == (0, 1)
    assert of_classes("class 0", "class 1", has_names=False).output_of(("class 1", "class 0"), "d") == (0, 1)
    with pytest.raises(WeightsAloneError, match=r"d: several outputs of net \(w\) are called 'crane'"):
        of_classes("crane", "owl", "crane").output_of(("crane", "owl"), "d")
    with pytest.raises(WeightsAloneError, match=r"or 3 classes in the order of its outputs, found 2: cat, hen"):
        of_classes("cat", "dog", "owl").output_of(("cat", "hen"), "d")


@pytest.mark.usefixtures("runs")
def test_what_does_not_fit_is_refused(whole, data, tmp_path):
    weights = str(whole[0] / "model.safetensors")
    with pytest.raises(WeightsAloneError, match=r"weights of lenet5: .*does not fit lenet5"):
        classifier_of("lenet5", weights)
    with pytest.raises(WeightsAloneError, match="tiny has no published weights: name a file with --weights"):
        classifier_of("tiny")
    with pytest.raises(WeightsAloneError, match=r"augment\.mean: expected one value, or one for each of 1 channels"):
        classifier_of("tiny", weights, mean=(0.1, 0.2))
    np.savez(tmp_path / "values.npz", image=np.zeros((6, 8, 8, 1), np.uint8), target=np.arange(6.0))
    with pytest.raises(WeightsAloneError, match="expected images with a label each, found image, target"):
        evaluate_classifier(classifier_of("tiny", weights), Data(f"npz:{tmp_path}/values.npz"), QUIET)
