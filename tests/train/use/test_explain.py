"""The picture of what a model sees: it shows what prediction and methods give, and says what is missing."""

import dataclasses

import jax
import matplotlib.text
import numpy as np
import PIL.Image
import pytest

import zoo
from tests.shared import shared
from tests.train import harness
from train import cli
from train.config import Augment, Data, DataError, Model, Optimizer
from train.data import load
from train.engine.assemble import assemble
from train.engine.console import Console
from train.store.checkpoint import CheckpointError
from train.store.workdir import Workdir
from train.use.classifier import Classifier
from train.use.explain import ExplainError, _class_number, explain, find_subject
from train.use.explanation import MAPS_SHOWN, Explanation, Stage, _around, explanation
from train.use.predict import predict_images
from zoo.convnets.looking import grad_cam
from zoo.names import UnknownNameError

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def run(engine, data, tmp_path_factory):
    """A run of a small residual network that has a checkpoint, of step 0."""
    path = tmp_path_factory.mktemp("explain") / "run"
    path.mkdir()
    recipe = harness.recipe(
        data,
        model=Model("cifar_resnet8"),
        augment=Augment(mean=(0.3,), std=(0.2,)),
        optimizer=Optimizer("adam", learning_rate=3e-3),
    )
    with engine():
        assembly = assemble(recipe)
        Workdir(path).write_card(recipe, assembly.card())
        checkpoints = harness.saved(path)
        checkpoints.save(0, assembly.initialise(), {})
        checkpoints.wait()
    return path


@pytest.fixture(scope="module")
def image(data, tmp_path_factory):
    """A held-out image as a file, and its pixels."""
    path = tmp_path_factory.mktemp("images") / "digit.png"
    pixels = load(Data(f"npz:{data}"), "test")[0]["image"]
    PIL.Image.fromarray(pixels[..., 0]).save(path)
    return path, pixels


@pytest.fixture(scope="module")
def explained(engine, run, image, tmp_path_factory):
    """An explanation, and the file that it wrote."""
    output = tmp_path_factory.mktemp("pictures") / "explain.png"
    with engine():
        return explain(str(run), image[0], output, steps=3, console=QUIET), output


@pytest.mark.usefixtures("runs")
def test_it_says_what_predict_says_and_shows_the_image_that_the_network_sees(run, image, explained):
    found, output = explained
    (record,) = predict_images(run, (image[0],), console=QUIET)
    assert dict(found.scores) == pytest.approx(dict(record["scores"]))
    assert found.scores[found.label][0] == record["scores"][0][0]
    np.testing.assert_allclose(found.image, image[1] / 255, atol=1e-6)
    assert ((found.dream >= 0) & (found.dream <= 1)).all()
    with PIL.Image.open(output) as picture:
        assert min(picture.size) > 1000


@pytest.mark.usefixtures("runs")
def test_maps_are_the_network_s_the_strongest_first_and_evidence_is_grad_cam(run, image, explained):
    found, _ = explained
    subject = find_subject(str(run))
    images = subject.read(image[0])[None]
    named = jax.jit(lambda v: subject.model.apply(v, images, features=True))(subject.variables)
    assert [(stage.name, stage.channels, stage.stride) for stage in found.stages] == [
        ("stem", 16, 1),
        ("stage1", 16, 1),
        ("stage2", 32, 2),
        ("stage3", 64, 4),
    ]
    for stage in found.stages:
        maps = np.asarray(named[stage.name][0])
        np.testing.assert_allclose(stage.maps, np.moveaxis(maps[..., list(stage.shown)], -1, 0), atol=1e-5)
        peaks = maps.max(axis=(0, 1))
        assert peaks[list(stage.shown)].tolist() == sorted(peaks, reverse=True)[:MAPS_SHOWN]
        assert stage.projection.shape == found.image.shape
    assert found.layer == "stage3"
    evidence = jax.jit(lambda v: grad_cam(subject.model, v, images, "stage3", found.label))(subject.variables)
    assert found.evidence.shape == (8, 8)
    assert found.evidence.max() <= evidence.max() * (1 + 1e-5)


@pytest.mark.usefixtures("runs")
def test_layer_and_class_are_chosen_and_what_does_not_exist_is_answered_with_the_nearest(run, image, tmp_path, capsys):
    output = tmp_path / "picture.png"
    arguments = ["explain", str(run), str(image[0]), "--output", str(output)]
    for options, message in (
        (["--layer", "stage9"], "no feature of CifarResNet 'stage9'; nearest: stage3, stage2, stage1"),
        (["--class", "4"], "no class '4'; known: 0, 1, 2, 3; or a number from 0 to 3"),
    ):
        assert cli.main([*arguments, *options]) == 2
        assert message in capsys.readouterr().err
    for options, message in (
        (["--layer", "logits"], "Grad-CAM at logits: expected a feature of maps"),
        (["--weights", "x.safetensors"], "is a run, which has weights of its own"),
    ):
        assert cli.main([*arguments, *options]) == 1
        assert message in capsys.readouterr().err
    assert not output.exists()
    found = explain(str(run), image[0], output, layer="stage2", label="2", steps=1, console=QUIET)
    assert (found.layer, found.label) == ("stage2", 2)


@pytest.mark.usefixtures("runs")
def test_what_is_looked_into_is_a_classifier_also_of_a_run(run, image, explained, tmp_path):
    subject = find_subject(str(run))
    assert isinstance(subject, Classifier)
    assert explained[0].title == f"What {subject.title} sees {image[0].name}"
    np.testing.assert_allclose(subject.read(image[0]), (image[1] / np.float32(255) - 0.3) / 0.2, atol=1e-5)
    np.testing.assert_allclose((subject.low, subject.high), [[-1.5], [3.5]], atol=1e-5)
    assert subject.output_of(subject.class_names[::-1], "there") == (3, 2, 1, 0)
    (tmp_path / "damaged.png").write_bytes(image[0].read_bytes()[:60])
    with pytest.raises(DataError, match=r"damaged\.png: expected a readable image"):
        subject.read(tmp_path / "damaged.png")


def test_a_class_is_a_name_first_and_then_a_number():
    names = ("7", "cat", "dog")
    assert [_class_number(label, names) for label in ("7", "cat", "2", "0")] == [0, 1, 2, 0]
    with pytest.raises(UnknownNameError, match="no class 'cta'; nearest: cat; or a number from 0 to 2"):
        _class_number("cta", names)
    with pytest.raises(UnknownNameError, match="no class '-1'"):
        _class_number("-1", names)


@pytest.mark.usefixtures("runs")
def test_what_cannot_be_looked_into_is_said(run, whole, regression, image, tmp_path, capsys):
    output = tmp_path / "picture.png"
    for of, weights, message in (
        (whole[0], None, "Tiny has no feature maps to look into"),
        (regression, None, "learned regression: explain looks into classification by logits"),
        (tmp_path, None, "holds no run"),
        ("lenet5", None, "lenet5 has no published weights: name a file with --weights"),
        ("lenet5", str(tmp_path / "none.safetensors"), "none.safetensors"),
    ):
        options = [] if weights is None else ["--weights", weights]
        assert cli.main(["explain", str(of), str(image[0]), "--output", str(output), *options]) == 1
        assert message in capsys.readouterr().err
    assert cli.main(["explain", "lenet6", str(image[0])]) == 2
    assert "no model 'lenet6'; nearest: lenet5" in capsys.readouterr().err
    with pytest.raises(DataError, match="no such file"):
        explain(str(run), tmp_path / "none.png", output, console=QUIET)
    with pytest.raises(CheckpointError, match="keeps no moving average; leave out --ema"):
        explain(str(run), image[0], output, ema=True, console=QUIET)
    with pytest.raises(ExplainError, match="lenet5 is no run: --best and --ema choose"):
        explain("lenet5", image[0], output, best=True, console=QUIET)
    with pytest.raises(ExplainError, match="expected a file to write, found a folder"):
        explain(str(run), image[0], tmp_path, console=QUIET)
    with pytest.raises(ExplainError, match="expected an existing folder"):
        explain(str(run), image[0], tmp_path / "none" / "picture.png", console=QUIET)
    assert not output.exists()


def test_a_model_by_name_takes_weights_from_a_file_and_its_published_preprocessing(tmp_path):
    PIL.Image.fromarray(np.full((40, 32, 3), 128, np.uint8)).save(tmp_path / "grey.png")
    for name, class_name, low in (("lenet5", "class 3", 0), ("cifar_resnet20", "cat", -0.485 / 0.229)):
        shape = zoo.describe(name).input_shape
        shapes = jax.eval_shape(lambda name=name, shape=shape: zoo.init(zoo.create(name), jax.random.key(0), shape))
        variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
        zoo.save_weights(variables, tmp_path / f"{name}.safetensors")
        subject = find_subject(name, str(tmp_path / f"{name}.safetensors"))
        image = subject.read(tmp_path / "grey.png")
        assert image.shape == shape
        assert subject.class_names[3] == class_name
        assert subject.low[0] == pytest.approx(low)
        np.testing.assert_allclose(subject.visible(image), 128 / 255, atol=1e-6)
        np.testing.assert_array_equal(subject.visible(subject.low + 0 * image), 0)
        np.testing.assert_array_equal(subject.visible(subject.high + 0 * image), 1)
    seven = zoo.create("cifar_resnet20", num_classes=7)
    shapes = jax.eval_shape(lambda: zoo.init(seven, jax.random.key(0), (32, 32, 3)))
    zoo.save_weights(jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes), tmp_path / "7.safetensors")
    subject = find_subject("cifar_resnet20", str(tmp_path / "7.safetensors"))
    assert (subject.model.num_classes, len(subject.class_names), subject.class_names[6]) == (7, 7, "class 6")
    np.testing.assert_array_equal(subject.variables["params"]["head"]["bias"], np.ones(7))
    with pytest.raises(ExplainError, match=r"weights of lenet5: .*does not fit lenet5"):
        find_subject("lenet5", str(tmp_path / "cifar_resnet20.safetensors"))


def drawing(channels, classes=3, maps=5, side=8):
    """An explanation of random numbers."""
    random = np.random.default_rng(0)

    def picture(*shape):
        return random.random((*shape, channels)).astype(np.float32)

    stages = [
        Stage(f"stage{i}", maps, i, range(maps), random.random((maps, side // i, side // i)), picture(side, side))
        for i in (1, 2)
    ]
    return Explanation(
        title="What a net sees in $x^2$ & <b>",
        image=picture(side, side),
        scores=[(f"kind {i}", (i + 1) / (classes * (classes + 1) / 2)) for i in range(classes)],
        label=0,
        layer="stage2",
        evidence=np.zeros((side, side), np.float32),
        gradient=picture(side, side) - 0.5,
        guided=picture(side, side) - 0.5,
        has_relus=True,
        dream=picture(side, side),
        dream_score=0.75,
        filters=picture(6, 3, 3),
        stages=stages,
    )


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_panel_of_the_picture_says_what_it_shows(channels):
    found = drawing(channels, classes=12)
    figure = explanation(found)
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    written = " ".join(" ".join(texts).split())
    for words in (
        found.title,
        "What it says",
        "the most probable of 12 classes; orange is the one that the other panels explain",
        "Grad-CAM: where the maps of stage2 raise its logit",
        "guided gradients",
        "the network is 75 % sure of it",
        "stage1",
        "5 maps 4 × 4 places one for every 2 pixels",
        "what map 0 sees",
        "kind 11",
        "kind 0",  # the explained one, though it is the least probable
    ):
        assert words in written
    assert "kind 2 " not in written
    images = figure.axes[0].get_images()
    assert len(images) == 5 + 1 + 2 * (5 + 2)
    width, height = figure.get_size_inches()
    for shown in images:
        left, right, bottom, top = shown.get_extent()
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    if channels == 3:
        np.testing.assert_array_equal(images[0].get_array(), found.image)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [((3, 4), (2, 5), (2, 6, 2, 6)), ((0, 1), (5, 8), (0, 4, 5, 9)), ((8, 9), (1, 2), (8, 10, 1, 3))],
)
def test_what_a_place_sees_is_cut_out_as_a_square(rows, columns, expected):
    gradient = np.zeros((10, 9, 2), np.float32)
    gradient[rows[0], columns[0], 0] = gradient[rows[1], columns[1], 1] = -1
    down, across = _around(gradient)
    assert (down.start, down.stop, across.start, across.stop) == expected
    assert _around(0 * gradient) == (slice(None), slice(None))


def test_without_relus_it_calls_gradients_gradients():
    found = drawing(3)
    plain = dataclasses.replace(found, has_relus=False)
    texts = " ".join(text.get_text() for text in explanation(plain).findobj(matplotlib.text.Text))
    assert "deconvnet" not in texts
    assert "this is the plain gradient" in " ".join(texts.split())


def test_a_photograph_is_turned_upright(tmp_path, monkeypatch):
    monkeypatch.setattr("train.use.with_weights._loaded", lambda name, _: (zoo.create(name), {}))
    exif = PIL.Image.Exif()
    exif[0x0112] = 8
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "lying.png", exif=exif)
    subject = find_subject("cifar_resnet20")
    expected = zoo.preprocess("cifar_resnet20")(np.rot90(pixels).copy())
    np.testing.assert_array_equal(subject.read(tmp_path / "lying.png"), expected)


@pytest.mark.slow
def test_published_weights_know_a_cat_and_make_one(tmp_path):
    weights = shared("data", "weights", "resnet20_cifar10.safetensors")
    source = load(Data("tfds:cifar10", data_dir=str(shared("data", "tfds"))), "test")
    image = next(source[i]["image"] for i in range(100) if source[i]["label"] == 3)
    PIL.Image.fromarray(image).save(tmp_path / "cat.png")
    output = tmp_path / "explain.png"
    found = explain("cifar_resnet20", tmp_path / "cat.png", output, weights=str(weights), console=QUIET)
    assert found.scores[found.label][0] == "cat"
    assert found.dream_score > 0.99
