"""Depth, normals, reflectance and shading: losses, scores, constants, and their page."""

import dataclasses
import io
import pickle

import jax
import numpy as np
import pytest
from scipy import optimize
from sklearn import metrics

from train.config import RecipeError
from train.config.tasks.surfaces import Surfaces as Settings
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource
from train.report import Run
from train.tasks import fitted, make_task, restore_task
from train.tasks.surfaces.drawing import UNKNOWN, coloured
from train.tasks.surfaces.measures import error_of
from train.tasks.surfaces.page import SurfacePage
from train.tasks.surfaces.task import CONSTANT, FIELDS, METRICS, Surfaces

MAPS = tuple(FIELDS)
COUNT, SIDE = 4, 24
random = np.random.default_rng(0)


def directions(*shape):
    vectors = random.normal(size=(*shape, 3)) - [0, 0, 2]
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def maps():
    size = (COUNT, SIDE, SIDE)
    return {
        "depth": random.uniform(1, 5, (*size, 1)).astype(np.float32),
        "normals": directions(*size),
        "reflectance": random.uniform(0.1, 1, (*size, 3)).astype(np.float32),
        "shading": random.uniform(0.1, 1, (*size, 1)).astype(np.float32),
    }


SPEC = {"image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8")}
SPEC |= {name: Field(kind, (SIDE, SIDE, channels), "float32") for name, (kind, channels) in FIELDS.items()}
TRUE, PREDICTED = maps(), maps()
for values in TRUE.values():
    values[1, :5, 3:9] = np.nan
TRUE["depth"][0, 0, :7, 0] = 0, -1, np.nan, np.inf, 2, 2, 2
BATCH = {
    "image": random.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8),
    **TRUE,
    "index": np.arange(COUNT),
    "mask": np.ones(COUNT, bool),
}
SOURCE = ArraySource("own", {name: BATCH[name] for name in SPEC}, SPEC, Facts(unit="m"))
KNOWN = {name: np.isfinite(values).all(axis=-1) for name, values in TRUE.items()}
KNOWN["depth"] &= TRUE["depth"][..., 0] > 0


@pytest.fixture(scope="module")
def task():
    return make_task(Settings(weights=(1.0, 2.0, 3.0, 4.0)), SOURCE)


@pytest.fixture(scope="module")
def measured(task):
    """Loss, gradient and totals, compiled once a shape."""

    @jax.jit
    def measure(outputs, batch):
        def loss(outputs):
            ratio = task.objective(outputs, batch)
            return ratio.value(), ratio

        (_, ratio), gradient = jax.value_and_grad(loss, has_aux=True)(outputs)
        return ratio, gradient, task.totals(outputs, batch)

    names = (*MAPS, "mask")
    return lambda outputs, batch: jax.device_get(measure(outputs, {name: batch[name] for name in names}))


@pytest.fixture(scope="module")
def whole(measured):
    return measured(PREDICTED, BATCH)


def known_of(name, arrays):
    return arrays[name][KNOWN[name]].astype(np.float64)


def test_loss_has_a_term_a_map_with_its_weight(whole):
    ratio, _, _ = whole
    log = np.log(PREDICTED["depth"][..., 0]) - np.log(np.where(KNOWN["depth"], TRUE["depth"][..., 0], 1))
    of_depth = [np.mean(d[k] ** 2) - 0.5 * np.mean(d[k]) ** 2 for d, k in zip(log, KNOWN["depth"], strict=True)]
    cosines = np.sum(known_of("normals", PREDICTED) * known_of("normals", TRUE), axis=-1)
    expected = [np.mean(of_depth), 2 * np.mean(1 - cosines)]
    for weight, name in ((3, "reflectance"), (4, "shading")):
        of_images = []
        for x, y, known in zip(PREDICTED[name], TRUE[name], KNOWN[name], strict=True):
            x, y = x[known].astype(np.float64), y[known].astype(np.float64)
            best = optimize.minimize_scalar(lambda a, x=x, y=y: np.mean((a * x - y) ** 2)).fun
            of_images.append((best + np.mean((x - y) ** 2)) / 2)
        expected.append(weight * np.mean(of_images))
    np.testing.assert_allclose(ratio.total / ratio.weight, expected, rtol=1e-4)
    np.testing.assert_array_equal(ratio.weight, [COUNT, KNOWN["normals"].sum(), COUNT, COUNT])


def test_unknown_pixels_have_no_gradient_and_spoil_none(whole):
    for name, gradient in whole[1].items():
        assert np.isfinite(gradient).all()
        assert not gradient[~KNOWN[name]].any()
        assert np.abs(gradient).sum() > 0


def test_scores_are_those_of_other_libraries(task, whole):
    scores = task.scores(whole[2])
    depth, true = known_of("depth", PREDICTED)[:, 0], known_of("depth", TRUE)[:, 0]
    assert scores["abs_rel"] == pytest.approx(metrics.mean_absolute_percentage_error(true, depth), rel=1e-5)
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, depth), rel=1e-5)
    assert scores["delta1"] == pytest.approx(np.mean(np.maximum(depth / true, true / depth) < 1.25))
    cosines = np.sum(known_of("normals", PREDICTED) * known_of("normals", TRUE), axis=-1)
    degrees = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    assert scores["angle"] == pytest.approx(degrees.mean(), rel=1e-4)
    assert scores["under11"] == pytest.approx(np.mean(degrees < 11.25))
    assert scores["loss"] == pytest.approx(float(whole[0].value()), rel=1e-5)
    assert {metric.name for metric in task.metrics} <= scores.keys()


def test_constants_are_those_that_fit_the_training_examples_and_stand_beside_the_scores(task, whole):
    (depth,), normal, reflectance, (shading,) = task.constants
    assert depth == pytest.approx(np.exp(np.mean(np.log(known_of("depth", TRUE)))))
    mean = known_of("normals", TRUE).mean(axis=0)
    np.testing.assert_allclose(normal, mean / np.linalg.norm(mean))
    np.testing.assert_allclose(reflectance, known_of("reflectance", TRUE).mean(axis=0))
    assert shading == pytest.approx(known_of("shading", TRUE).mean())
    scores, true = task.scores(whole[2]), known_of("depth", TRUE)
    assert scores["abs_rel" + CONSTANT] == pytest.approx(np.mean(np.abs(depth - true) / true), rel=1e-5)
    assert {METRICS[name][0].name + CONSTANT for name in MAPS} <= scores.keys()


def test_parts_and_padding_add_up_to_the_whole(measured, whole):
    halves = []
    for rows in ([0, 1, 2, 2], [3, 0, 0, 0]):
        part = {name: BATCH[name][rows] for name in MAPS}
        part["mask"] = np.array([True, rows == [0, 1, 2, 2], rows == [0, 1, 2, 2], False])
        halves.append(measured({name: PREDICTED[name][rows] for name in MAPS}, part)[2])
    jax.tree.map(lambda total, *parts: np.testing.assert_allclose(sum(parts), total, rtol=1e-4), whole[2], *halves)


def test_nothing_that_is_known_has_no_loss_and_no_score(task, measured):
    nothing = {**BATCH, **{name: np.full_like(values, np.nan) for name, values in TRUE.items()}}
    ratio, gradient, totals = measured(PREDICTED, nothing)
    assert not ratio.total.any()
    assert not ratio.weight.any()
    assert not any(values.any() for values in gradient.values())
    assert all(np.isnan(value) for value in task.scores(totals).values())
    page = page_of(task, nothing, [slice(0, COUNT)])
    results = page.results(Run("run"))
    assert (results.value, results.detail) == ("–", "no pixel that is known in 4 images")
    assert results.notes == ["There is no pixel whose depth is known in the held-out images: no error."]
    with pytest.raises(RecipeError, match="own: expected training examples with depth, found no pixel that is known"):
        make_task(Settings(), ArraySource("own", {name: nothing[name] for name in SPEC}, SPEC))


def test_task_comes_back_from_the_card_and_refuses_other_examples(task):
    settings = Settings(maps=("normals",))
    alone = make_task(settings, SOURCE)
    assert (alone.fields, alone.places, alone.weights) == (("image", "normals"), {"normals": Kind.NORMALS}, (1.0,))
    assert alone.model_options() == {"predicts": ("normals",)}
    assert [metric.name for metric in alone.metrics] == ["angle", "under11", "loss"]
    card = {name: list(map(list, v)) if name == "constants" else list(v) for name, v in fitted(alone).items()}
    again = restore_task(settings, card)
    assert again.scores({"loss": np.ones(1), "weight": np.ones(1), "normals": _angles()}) == alone.scores(
        {"loss": np.ones(1), "weight": np.ones(1), "normals": _angles()}
    )
    task.check(SPEC, Facts())
    for wrong in (
        {name: field for name, field in SPEC.items() if name != "shading"},
        {**SPEC, "shading": Field(Kind.MAP, (SIDE, SIDE, 3), "float32")},
        {**SPEC, "shading": Field(Kind.MAP, (SIDE, SIDE + 1, 1), "float32")},
    ):
        with pytest.raises(RecipeError, match="shading"):
            task.check(wrong, Facts())


def _angles():
    sums = {"count": 4.0, "angle": 8.0, "under11": 3.0, "under22": 4.0, "under30": 4.0}
    return {"network": sums, "constant": sums}


def test_settings_check_themselves():
    for wrong in ({"maps": ()}, {"maps": ("depth", "depth")}, {"weights": (1.0,)}, {"weights": (1.0, 1.0, 1.0, 0.0)}):
        with pytest.raises(RecipeError, match="out of range: task"):
            Settings(**wrong)
    with pytest.raises(RecipeError, match=r"task\.maps: expected"):
        Settings(maps=("colour",))


def page_of(task, batch, parts):
    page = task.page()
    for rows in parts:
        part = {name: value[rows] for name, value in batch.items()}
        page.add(part, {name: value[rows] for name, value in PREDICTED.items()})
    return page


def test_page_measures_what_the_task_does(task, whole):
    page, scores = page_of(task, BATCH, [slice(0, COUNT)]), task.scores(whole[2])
    for name, (network, constant, weight) in zip(MAPS, page.sums, strict=True):
        first = METRICS[name][0].name
        assert network / weight == pytest.approx(scores[first], rel=1e-4)
        assert constant / weight == pytest.approx(scores[first + CONSTANT], rel=1e-4)


def test_page_is_the_same_however_the_examples_came_and_the_worst_come_first(task):
    page, parts = page_of(task, BATCH, [slice(0, COUNT)]), page_of(task, BATCH, [slice(0, 1), slice(1, 3)])
    parts.merge(pickle.loads(pickle.dumps(page_of(task, BATCH, [slice(3, 4)]))))
    assert parts.images == page.images
    np.testing.assert_allclose(parts.sums, page.sums)
    np.testing.assert_array_equal(parts.angles, page.angles)
    total, weight = error_of("depth", PREDICTED["depth"], TRUE["depth"])
    order = np.argsort(-total / weight)
    for each in (page, parts):
        assert each.worst.rows.tolist() == order.tolist()
        assert each.best.rows.tolist() == order[::-1].tolist()


def test_page_has_its_sections_and_says_its_result(task):
    page = page_of(task, BATCH, [slice(0, COUNT)])
    results = page.results(Run("run"))
    assert results.label == "test relative error of depth"
    assert results.detail.startswith("a constant: ")
    html = "".join(results.sections)
    for words in ("<h2>Errors</h2>", "<h2>Angles</h2>", "<h2>Worst examples</h2>", "<h2>Best examples</h2>"):
        assert words in html
    assert set(results.pictures) == {"predictions.png"}
    cosines = np.sum(known_of("normals", PREDICTED) * known_of("normals", TRUE), axis=-1)
    median = np.degrees(np.median(np.arccos(cosines)))
    said = float(html.split("Half of the normals are off by at most ")[1].split("°")[0])
    assert median <= said <= median + 0.25


def test_prediction_is_written_in_words_numbers_and_pictures(task):
    page = page_of(task, BATCH, [])
    predicted = {name: values[0] for name, values in PREDICTED.items()}
    predicted["depth"] = predicted["depth"].copy()
    predicted["depth"][0, 0] = np.nan  # beyond what the model saw
    record = page.record(predicted)
    assert record["depth"]["mean"] == pytest.approx(np.nanmean(predicted["depth"]), rel=1e-6)
    assert page.words(predicted).startswith(f"depth {record['depth']['mean']:.2f} m (1.0")
    with np.load(io.BytesIO(page.files(predicted)["npz"])) as written:
        assert set(written) == set(MAPS)
        np.testing.assert_array_equal(written["depth"], predicted["depth"])
    picture = page.picture({"image": BATCH["image"][0]}, predicted)
    assert (picture.dtype, picture.ndim, picture.shape[-1]) == (np.uint8, 3, 3)
    again = page.picture({"image": BATCH["image"][0]}, {name: values[1] for name, values in PREDICTED.items()})
    assert again.shape == picture.shape
    nothing = dict.fromkeys(MAPS, np.full((2, 2, 1), np.nan))
    assert page.words(nothing) == "depth unknown, normals unknown, reflectance unknown, shading unknown"


def test_colours_of_maps():
    normals = np.array([[[1.0, 0, 0], [0, -1, 0], [0, 0, -1], [np.nan, 0, 0]]])
    assert coloured("normals", normals)[0].tolist() == [[255, 128, 128], [128, 255, 128], [128, 128, 255], [*UNKNOWN]]
    grey = coloured("shading", np.array([[[0.0], [0.5], [2.0]]]))[0]
    np.testing.assert_array_equal(grey[:, 0], [0, round(255 * 0.5 ** (1 / 2.2)), 255])
    near, far = coloured("depth", np.array([[[1.0], [3.0]]]), (1.0, 3.0))[0].astype(int)
    assert near.sum() > far.sum() + 100


def test_one_map_alone_is_a_task(task):
    alone = dataclasses.replace(task, maps=("shading",), weights=(1.0,), constants=task.constants[3:])
    page = page_of(alone, BATCH, [slice(0, COUNT)])
    assert isinstance(page, SurfacePage)
    assert isinstance(alone, Surfaces)
    results = page.results(Run("run"))
    assert results.label == "test local error of shading"
    assert "Angles" not in "".join(results.sections)
