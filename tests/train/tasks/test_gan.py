"""Two players in one step: each has the gradient of its own loss alone; what is measured of images that were made."""

import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

import zoo
from tests.train import harness
from tests.train.report.reading import undrawn
from train.config import Augment, Data, Model, Optimizer, RecipeError
from train.config.tasks.gan import Gan as Settings
from train.data import load
from train.engine.assemble import assemble
from train.engine.step import make_predict
from train.report import Run
from train.store import journal
from train.store.workdir import Workdir
from train.tasks import fitted, make_task, restore_task
from train.tasks.gan.drawing import mosaic
from train.tasks.gan.embedding import evenly
from train.tasks.gan.page import normal
from train.tasks.gan.task import STEPS
from train.tasks.protocol import Keys
from train.use.predict import predict_images

KEYS = Keys(jax.random.key(0), jax.random.key(1))
MEAN, STD = (0.3,), (0.2,)
NORMALISING = Augment(mean=MEAN, std=STD)
MODEL = zoo.create("dcgan_tiny")
SIZE = 8


@pytest.fixture(scope="module")
def examples(data):
    return load(harness.recipe(data).data, "train")


@pytest.fixture(scope="module", params=["non_saturating", "minimax"])
def task(request, examples):
    return make_task(Settings(loss=request.param, latent=12), examples, NORMALISING)


@pytest.fixture(scope="module")
def batch(examples):
    found = examples.read(range(SIZE))
    image = (found["image"].astype(np.float32) / 255 - MEAN[0]) / STD[0]
    return {"image": image, "label": found["label"], "index": np.arange(SIZE), "mask": np.ones(SIZE, bool)}


@pytest.fixture(scope="module")
def variables():
    return jax.jit(MODEL.init)(jax.random.key(3), jnp.zeros((1, 12)), jnp.zeros((1, 8, 8, 1)))


def training(variables):
    """The model as a step of training applies it."""

    def apply(params, *inputs, state=None, **options):
        collections = {"batch_stats": variables["batch_stats"]} if state is None else state
        return MODEL.apply({"params": params, **collections}, *inputs, train=True, mutable=["batch_stats"], **options)

    return apply


def played_by_hand(task, variables, batch):
    """The gradient of each player's loss with regard to its own parameters, and the statistics, from the paper."""
    pixels = 2 * (batch["image"] * STD[0] + MEAN[0]) - 1
    points = jax.random.uniform(KEYS.task, (SIZE, 12), minval=-1, maxval=1)
    ones = jnp.ones(SIZE)
    generator, discriminator = MODEL.bind(variables).generator.clone(), MODEL.bind(variables).discriminator.clone()

    def part(module, name, params, x, statistics):
        stats = {"params": params, "batch_stats": statistics}
        outputs, changed = module.apply(stats, x, train=True, mutable=["batch_stats"])
        return outputs, changed["batch_stats"]

    params, statistics = variables["params"], variables["batch_stats"]

    def of_generator(mine):
        made, _ = part(generator, "generator", mine, points, statistics["generator"])
        logits, _ = part(discriminator, "discriminator", params["discriminator"], made, statistics["discriminator"])
        real = optax.sigmoid_binary_cross_entropy(logits, ones)  # -log D
        losses = real if task.loss_of == "non_saturating" else -optax.sigmoid_binary_cross_entropy(logits, 0 * ones)
        return losses.mean()

    def of_discriminator(mine):
        made, _ = part(generator, "generator", params["generator"], points, statistics["generator"])
        on_real, after = part(discriminator, "discriminator", mine, pixels, statistics["discriminator"])
        on_made, after = part(discriminator, "discriminator", mine, made, after)
        losses = optax.sigmoid_binary_cross_entropy(on_real, ones) + optax.sigmoid_binary_cross_entropy(on_made, 0)
        return losses.mean(), after

    (_, after), for_discriminator = jax.value_and_grad(of_discriminator, has_aux=True)(params["discriminator"])
    for_generator = jax.grad(of_generator)(params["generator"])
    _, moved = part(generator, "generator", params["generator"], points, statistics["generator"])
    gradients = {"discriminator": for_discriminator, "generator": for_generator}
    return gradients, {"discriminator": after, "generator": moved}


def test_each_player_has_the_gradient_of_its_own_loss_alone(task, variables, batch):
    def loss(params):
        ratio, aux = task.loss(training(variables), params, batch, KEYS)
        return ratio.value(), aux.state["batch_stats"]

    (_, state), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
    expected, statistics = jax.jit(lambda: played_by_hand(task, variables, batch))()
    for player in ("generator", "discriminator"):
        largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected[player]))
        assert largest > 1e-4
        for ours, theirs in zip(*map(jax.tree.leaves, (gradients[player], expected[player])), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4 * largest)
        for ours, theirs in zip(*map(jax.tree.leaves, (state[player], statistics[player])), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_examples_that_fill_a_batch_count_nowhere(task, variables, batch):
    evaluate = jax.jit(
        lambda mask: task.evaluate(evaluating(variables), variables["params"], {**batch, "mask": mask}, KEYS)
    )
    whole, half = evaluate(np.ones(SIZE, bool)), evaluate(np.arange(SIZE) < 4)
    rest = evaluate(np.arange(SIZE) >= 4)
    assert half["count"] == 4
    for name, value in whole.items():
        assert half[name] + rest[name] == pytest.approx(float(value), rel=1e-5)
    scores = task.scores(jax.device_get(half))
    assert scores["loss"] == pytest.approx(scores["discriminator_loss"] + scores["generator_loss"])
    assert 0 <= scores["told_apart"] <= 1


def evaluating(variables):
    def apply(params, *inputs, **options):
        return MODEL.apply({**variables, "params": params}, *inputs, **options), {}

    return apply


def test_a_row_has_its_own_point_whatever_its_batch_and_its_path_ends_at_the_next(task, variables, batch):
    predict = jax.jit(make_predict(MODEL, task))
    found = predict(variables, batch)
    assert found["path"].shape == (SIZE, STEPS, 8, 8, 1)
    assert np.ptp(found["sample"], axis=0).max() > 0
    np.testing.assert_allclose(found["path"][:-1, -1], found["sample"][1:], atol=1e-5)
    turned = predict(variables, jax.tree.map(lambda x: x[::-1], batch))
    np.testing.assert_allclose(turned["sample"][::-1], found["sample"], atol=1e-5)
    nobodys = predict(variables, {"image": batch["image"], "mask": batch["mask"]})
    np.testing.assert_allclose(nobodys["real"], found["real"], rtol=1e-5)
    assert (found["real"] > 0).all()
    assert (found["real"] < 1).all()


@pytest.fixture(scope="module")
def digits():
    """The task, the training and the held-out digits, and images as they are from the generator."""
    train, test = (load(Data("digits"), split) for split in ("train", "test"))
    return make_task(Settings(), train), train.read(range(len(train)))["image"], test.read(range(len(test)))["image"]


def scores_of(task, real, made):
    judge = task.judge()
    half = len(real) // 2
    parts = [task.judge(), task.judge()]
    for part, rows in zip(parts, (slice(None, half), slice(half, None)), strict=True):
        part.add({"image": real[rows]}, {"sample": made[rows]})
        judge.merge(part)
    return judge.scores()


def test_training_images_are_nearer_than_a_normal_distribution_and_that_than_noise(digits):
    task, train, test = digits
    count = len(test)
    as_near = scores_of(task, test, train[evenly(len(train), count)].astype(np.float32) / 255)
    pixels = scores_of(task, test, normal(train, count).reshape(count, 8, 8, 1))
    noise = scores_of(task, test, np.random.default_rng(0).uniform(size=test.shape).astype(np.float32))
    assert 2 * as_near["frechet"] < pixels["frechet"] < noise["frechet"] / 2
    assert as_near["precision"] > 0.85 > 0.75 > pixels["precision"] > noise["precision"]
    assert as_near["recall"] > 0.85
    same = scores_of(task, test, test.astype(np.float32) / 255)
    assert (same["precision"], same["recall"]) == (1, 1)
    assert same["frechet"] < as_near["frechet"] / 5


def test_one_image_again_and_again_has_no_variety_and_broken_ones_no_score(digits):
    task, _, test = digits
    one = np.repeat(test[:1].astype(np.float32) / 255, len(test), axis=0)
    found = scores_of(task, test, one)
    assert found["recall"] < 0.02
    assert found["precision"] == 1
    assert np.isnan(list(scores_of(task, test, np.full_like(one, np.nan)).values())).all()
    assert np.isnan(list(scores_of(task, test[:3], one[:3]).values())).all()


def test_the_normal_distribution_has_the_mean_and_the_covariance_of_the_images(digits):
    train = digits[1]
    grey = (96 + train // 4).astype(np.uint8)  # of which nothing is cut off
    made = normal(grey, 20_000)
    rows = grey.reshape(len(grey), -1) / 255
    np.testing.assert_allclose(made.mean(axis=0), rows.mean(axis=0), atol=0.005)
    np.testing.assert_allclose(np.cov(made.T), np.cov(rows.T), atol=3e-4)


def test_a_stored_task_is_the_same_and_what_does_not_fit_is_refused(data, examples, task):
    settings = Settings(loss=task.loss_of, latent=12)
    assert restore_task(settings, json.loads(json.dumps(fitted(task)))) == task
    recipe = harness.recipe(data, task=settings, augment=NORMALISING)
    for name, message in (("cifar_resnet8", "shape"), ("dcgan_generator", "generator and a discriminator")):
        with pytest.raises((RecipeError, KeyError), match=message):
            assemble(dataclasses.replace(recipe, model=Model(name)))
    with pytest.raises(RecipeError, match="sides that are multiples of 16"):
        assemble(dataclasses.replace(recipe, model=Model("dcgan")))
    several = {**examples.spec, "label": examples.spec["label"]._replace(shape=(3,))}
    with pytest.raises(RecipeError, match="label: expected one label an example"):
        make_task(settings, types.SimpleNamespace(name="some", facts=examples.facts, spec=several), NORMALISING)
    with pytest.raises(RecipeError, match="expected images of"):
        task.check({**examples.spec, "image": examples.spec["image"]._replace(shape=(16, 16, 1))}, examples.facts)


@pytest.fixture(scope="module")
def finished(engine, data, tmp_path_factory):
    recipe = harness.recipe(
        data,
        model=Model("dcgan_tiny"),
        task=Settings(latent=12),
        augment=NORMALISING,
        optimizer=Optimizer("adam", learning_rate=2e-3, b1=0.5, weight_decay=0.0),
        epochs=2,
    )
    path = tmp_path_factory.mktemp("gan") / "run"
    with engine():
        yield path, harness.run(recipe, path)


def test_a_run_moves_both_players_and_measures_what_is_made(finished):
    path, outcome = finished
    evaluations = harness.lines(path, "eval")
    assert outcome.metrics["frechet"] == evaluations[-1]["frechet"] != evaluations[0]["frechet"]
    assert {"precision", "recall", "told_apart", "generator_loss"} <= set(outcome.metrics)
    for name in ("discriminator_loss", "generator_loss", "loss"):
        losses = [line[name] for line in harness.lines(path, "train")]
        assert np.isfinite(losses).all()
        assert np.ptp(losses) > 0


def test_the_page_compares_with_training_images_and_shows_what_was_made_over_the_run(finished, task, examples):
    path, _ = finished
    files = Workdir(path)
    page, seen = task.page(), files.read_seen()
    test = load(files.read_recipe().data, "test").read(range(20))
    made = np.random.default_rng(0).uniform(size=(20, STEPS, 8, 8, 1)).astype(np.float32)
    few = task.page()
    few.add(
        {"image": test["image"][:3], "index": np.arange(3)},
        {"sample": made[:3, 0], "path": made[:3], "real": np.full(3, 0.5)},
    )
    for rows in (slice(0, 8), slice(8, 20)):
        batch = {"image": test["image"][rows], "index": np.arange(20)[rows]}
        part = task.page()
        part.add(batch, {"sample": made[rows, 0], "path": made[rows], "real": np.full(20, 0.5)[rows]})
        page.merge(part)
    run = Run(path, card=files.read_card(), records=journal.ordered(files.metrics), seen=seen)
    with undrawn(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.report.sections.png", lambda _: b"picture")
        found = page.results(run)
        unread = page.results(dataclasses.replace(run, card={}))
        unmeasured = few.results(run)
    html = "".join(found.sections)
    for words in ("How near to real images", "Made", "From one to another", "Made or learned by heart", "Over the run"):
        assert f"<h2>{words}</h2>" in html
    assert found.notes == []
    assert unmeasured.notes == ["3 images are too few to measure (more than 3), or not all are finite."]
    assert len(unread.sections) == len(found.sections) - 3
    assert "cannot be read" in unread.notes[0]
    assert len(seen) == 2
    assert not np.allclose(seen[0][1]["sample"], seen[1][1]["sample"])


def test_pixels_are_drawn_as_squares_whatever_the_images_sides():
    wide = np.arange(6 * 12 * 3, dtype=np.uint8).reshape(6, 12, 3)
    figure = mosaic([[wide, wide], [wide]], ("one", "two"))
    axes = figure.axes[0]
    across, down = (np.ptp(limits) for limits in (axes.get_xlim(), axes.get_ylim()))
    assert figure.get_figwidth() / figure.get_figheight() == pytest.approx(across / down)
    boxes = [image.get_extent() for image in axes.images]
    for left, right, bottom, top in boxes:
        assert (right - left) == pytest.approx(2 * abs(bottom - top))
    assert boxes[2][3] > boxes[0][2]  # the second row is below the first


def test_an_image_file_is_judged_and_drawn_over_what_is_made(finished, tmp_path):
    path, _ = finished
    Image.fromarray(np.full((20, 20), 90, np.uint8)).save(tmp_path / "grey.png")
    (record,) = predict_images(path, (tmp_path / "grey.png",), output=tmp_path / "out")
    assert 0 < record["real"] < 1
    assert record["text"].startswith("taken for real: ")
    with Image.open(tmp_path / "out" / "grey.png") as picture:
        assert picture.mode == "RGB"
        assert picture.width > 3 * picture.height
