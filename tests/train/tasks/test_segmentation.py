"""Segmentation: exact whatever is ignored and however batches are cut, scikit-learn's scores, and its page."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn import metrics

import zoo
from train.config import RecipeError
from train.config.tasks.segmentation import Segmentation as Settings
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource
from train.report import Run
from train.tasks import fitted, make_task, restore_task
from train.tasks.segmentation.drawing import Palette, Shown, panels
from train.tasks.segmentation.page import LEGEND, LabelMapPage
from train.tasks.segmentation.task import Segmentation
from zoo.dense import FCN, multi_scale

random = np.random.default_rng(0)
NAMES, IGNORE = ("cat", "dog", "bird"), -1
FACTS = Facts(NAMES, background=3, ignore=IGNORE)
TASK = Segmentation(NAMES, background=3, ignore=IGNORE)
SPEC = {"image": Field(Kind.IMAGE, (8, 8, 3), "uint8"), "label_map": Field(Kind.LABEL_MAP, (8, 8), "int32")}
COUNT = 6
LABELS = random.integers(-1, 4, (COUNT, 8, 8)).astype(np.int32)
LOGITS = random.normal(size=(COUNT, 8, 8, 4)).astype(np.float32)
BATCH = {
    "image": random.integers(0, 256, (COUNT, 8, 8, 3)).astype(np.uint8),
    "label_map": LABELS,
    "index": np.arange(COUNT),
    "mask": np.ones(COUNT, bool),
}
ARRAYS = {name: BATCH[name] for name in SPEC}


@pytest.fixture(scope="module")
def measured():
    """Loss, gradient and totals of logits, compiled once a shape."""

    @jax.jit
    def measure(logits, batch):
        (_, ratio), gradient = jax.value_and_grad(
            lambda x: (TASK.objective(x, batch).total, TASK.objective(x, batch)), has_aux=True
        )(logits)
        return ratio, gradient, TASK.totals(logits, batch)

    return lambda logits, batch: jax.device_get(measure(logits, {name: batch[name] for name in ("label_map", "mask")}))


def test_loss_is_the_mean_over_pixels_that_count(measured):
    ratio, gradient, _ = measured(LOGITS, BATCH)
    counted = LABELS != IGNORE
    chosen = np.take_along_axis(LOGITS.astype(np.float64), np.maximum(LABELS, 0)[..., None], axis=-1)[..., 0]
    expected = (np.log(np.exp(LOGITS.astype(np.float64)).sum(axis=-1)) - chosen)[counted].mean()
    assert ratio.total / ratio.weight == pytest.approx(expected, rel=1e-5)
    assert ratio.weight == counted.sum()
    assert not gradient[~counted].any()
    assert np.isfinite(gradient).all()


def test_scores_are_scikit_learns(measured):
    scores = TASK.scores(measured(LOGITS, BATCH)[2])
    true, guess = LABELS[LABELS != IGNORE], LOGITS.argmax(axis=-1)[LABELS != IGNORE]
    assert scores["mean_iou"] == pytest.approx(metrics.jaccard_score(true, guess, average="macro"))
    assert scores["pixel_accuracy"] == pytest.approx(metrics.accuracy_score(true, guess))
    assert scores["mean_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(true, guess))


def test_ragged_parts_and_padding_add_up_to_the_whole(measured):
    labels = LABELS.copy()
    labels[1, 2:] = IGNORE  # few pixels count here
    whole, _, totals = measured(LOGITS, {**BATCH, "label_map": labels})
    sums = []
    for rows in ([0, 1], [2, 3], [4, 5], [5, 5]):
        mask = np.array([len(sums) < 3, len(sums) < 3])  # the last part is padding alone
        sums.append(measured(LOGITS[rows], {"label_map": labels[rows], "mask": mask}))
    ratios, parts = [part[0] for part in sums], [part[2] for part in sums]
    assert len({float(ratio.weight) for ratio in ratios}) > 2
    assert sum(ratio.total for ratio in ratios) == pytest.approx(whole.total, rel=1e-6)
    assert sum(ratio.weight for ratio in ratios) == whole.weight
    jax.tree.map(lambda total, *parts: np.testing.assert_allclose(sum(parts), total, rtol=1e-6), totals, *parts)


def test_batch_in_which_nothing_counts_has_no_loss_and_no_gradient(measured):
    ratio, gradient, totals = measured(LOGITS, {**BATCH, "label_map": np.full_like(LABELS, IGNORE)})
    assert (ratio.total, ratio.weight) == (0, 0)
    assert not gradient.any()
    assert all(np.isnan(value) for value in TASK.scores(totals).values())


def test_background_is_a_class_of_its_own_or_one_that_has_a_name():
    assert make_task(Settings(), ArraySource("own", ARRAYS, SPEC, FACTS)).names == (*NAMES, "background")
    assert make_task(Settings(), ArraySource("named", ARRAYS, SPEC, Facts(NAMES, background=0))).names == NAMES
    assert make_task(Settings(), ArraySource("none", ARRAYS, SPEC, Facts(NAMES))).names == NAMES


def test_task_comes_back_from_the_card_and_refuses_other_examples():
    task = make_task(Settings(maps=("stage3",)), ArraySource("own", ARRAYS, SPEC, FACTS))
    again = restore_task(
        Settings(maps=("stage3",)),
        {name: list(value) if isinstance(value, tuple) else value for name, value in fitted(task).items()},
    )
    assert again == task == dataclasses.replace(TASK, maps=("stage3",))
    again.check(SPEC, FACTS)
    of_digits = {"image": SPEC["image"], "label": Field(Kind.LABEL, (), "int32")}
    for spec, facts, said in (
        (of_digits, FACTS, r"expected examples with label_map, found image uint8\[8,8,3\], label int32\[\]"),
        ({**SPEC, "label_map": Field(Kind.LABEL, (8, 8), "int32")}, FACTS, "expected an image and its label map"),
        ({**SPEC, "label_map": Field(Kind.LABEL_MAP, (4, 8), "int32")}, FACTS, "of the image's size"),
        (SPEC, Facts(("a", "b"), background=3), "expected examples of the classes"),
        (SPEC, FACTS._replace(background=2), "labels of background and of nothing"),
    ):
        with pytest.raises(RecipeError, match=said):
            again.check(spec, facts)
    with pytest.raises(RecipeError, match="next after them, found 3 names and background 5"):
        Segmentation(NAMES, 5, IGNORE).check(SPEC, FACTS._replace(background=5))


def test_settings_check_themselves():
    with pytest.raises(RecipeError, match=r"task\.maps"):
        Settings(maps=("stage3", "stage3"))
    with pytest.raises(RecipeError, match=r"out of range: task\.class_weights=\(1\.0,\)"):
        Settings(class_weights=(1.0,), loss="dice")
    with pytest.raises(RecipeError, match=r"out of range: task\.overlap=8"):
        Settings(window=8, overlap=8)
    with pytest.raises(RecipeError, match=r"task\.class_weights: expected one for each of 4 classes, got 2"):
        make_task(Settings(class_weights=(1.0, 2.0)), ArraySource("own", ARRAYS, SPEC, FACTS))


def test_auxiliary_heads_add_their_loss_and_the_main_one_is_measured():
    other = np.flip(LOGITS, axis=-1)
    alone = [TASK.objective(each, BATCH) for each in (LOGITS, other)]
    both = dataclasses.replace(TASK, auxiliary=0.25).objective({"logits": LOGITS, "aux1": other}, BATCH)
    assert both.total == pytest.approx(float(alone[0].total + 0.25 * alone[1].total))
    assert both.weight == alone[0].weight
    jax.tree.map(
        np.testing.assert_array_equal,
        TASK.totals({"logits": LOGITS, "aux1": other}, BATCH),
        TASK.totals(LOGITS, BATCH),
    )


def test_rare_classes_weigh_as_much_as_common_ones():
    labels = np.full((2, 8, 8), 3, np.int32)
    labels[0, 0] = 0  # 8 pixels of 64
    labels[1, :4] = 1  # 32 pixels of 48 that count
    labels[1, 6:] = IGNORE
    source = ArraySource("few", {"image": BATCH["image"][:2], "label_map": labels}, SPEC, FACTS)
    task = make_task(Settings(balanced=True), source)
    frequencies = np.array([8 / 64, 32 / 48, 72 / 112])
    np.testing.assert_allclose(np.delete(task.class_weights, 2), 72 / 112 / frequencies)
    assert task.class_weights[2] == 0
    weight = task.objective(LOGITS[:2], {"label_map": labels, "mask": np.ones(2, bool)}).weight
    assert weight == pytest.approx(8 * task.class_weights[0] + 32 * task.class_weights[1] + 72)
    nothing = {"image": BATCH["image"][:2], "label_map": np.full_like(labels, IGNORE)}
    empty = ArraySource("few", nothing, SPEC, FACTS)
    with pytest.raises(RecipeError, match=r"task\.balanced: expected pixels with classes, found none in few"):
        make_task(Settings(balanced=True), empty)


def test_a_network_that_predicts_pixels_gets_no_head_and_any_other_does():
    assert isinstance(TASK.wrap(zoo.create("cifar_resnet8", num_classes=0)), FCN)
    network = TASK.wrap(zoo.create("unet_tiny", num_classes=0))
    assert (type(network).__name__, network.num_classes) == ("UNet", 4)
    with pytest.raises(RecipeError, match=r"task\.maps: UNet predicts pixels itself: expected none, got stage3"):
        dataclasses.replace(TASK, maps=("stage3",)).wrap(zoo.create("unet_tiny", num_classes=0))
    with pytest.raises(RecipeError, match=r"expected a model with logits of all \(8, 8\) pixels, got \(4, 4\)"):
        TASK.objective(LOGITS[:, 2:6, 2:6], BATCH)


def test_evaluation_sees_windows_sizes_and_mirror_images_as_the_settings_say():
    weights = random.normal(size=(3, 4)).astype(np.float32)

    def apply(params, images):  # no pixel sees another
        return images @ params, {}

    images = {**BATCH, "image": BATCH["image"].astype(np.float32) / 255}
    plain = TASK.evaluate(apply, weights, images, None)
    windows = dataclasses.replace(TASK, window=4, overlap=2).evaluate(apply, weights, images, None)
    np.testing.assert_array_equal(windows["confusion"], plain["confusion"])
    several = dataclasses.replace(TASK, scales=(0.5, 1.0), flips=True)
    expected = multi_scale(lambda images: images @ weights, images["image"], (0.5, 1.0), True)
    np.testing.assert_array_equal(several.predict(apply, weights, images, None)["label_map"], expected.argmax(axis=-1))
    np.testing.assert_array_equal(
        dataclasses.replace(TASK, flips=True).predict(apply, weights, images, None)["label_map"],
        TASK.predict(apply, weights, images, None)["label_map"],
    )


def test_near_edges_only_pixels_of_the_band_are_scored(measured):
    task = dataclasses.replace(TASK, trimap=1)
    assert [metric.name for metric in task.metrics if metric not in TASK.metrics] == ["trimap_iou"]
    labels = np.full_like(LABELS, 3)
    labels[:, 4:, 4:] = 0
    labels[0] = IGNORE  # an image without pixels that count
    near = np.zeros(labels.shape, bool)
    near[1:, 3:5, 3:] = near[1:, 3:, 3:5] = True
    totals = jax.jit(task.totals)(LOGITS, {"label_map": labels, "mask": BATCH["mask"]})
    true, guess = labels[near], LOGITS.argmax(axis=-1)[near]
    np.testing.assert_array_equal(totals["near"], metrics.confusion_matrix(true, guess, labels=range(4)))
    assert task.scores(totals)["trimap_iou"] == pytest.approx(metrics.jaccard_score(true, guess, average="macro"))
    assert TASK.scores(measured(LOGITS, BATCH)[2]).keys() == {metric.name for metric in TASK.metrics}
    with pytest.raises(RecipeError, match=r"out of range: task\.trimap=-1"):
        Settings(trimap=-1)


def predicted(rows=slice(None)):
    return {"label_map": LOGITS[rows].argmax(axis=-1).astype(np.int32)}


def page_of(*parts):
    page = LabelMapPage(TASK.names, 3, IGNORE)
    for rows in parts:
        page.add({name: value[rows] for name, value in BATCH.items()}, predicted(rows))
    return page


def test_page_counts_as_scikit_learn_and_keeps_the_worst_examples_first():
    page = page_of(slice(None))
    true, guess = LABELS[LABELS != IGNORE], LOGITS.argmax(axis=-1)[LABELS != IGNORE]
    np.testing.assert_array_equal(page.counts, metrics.confusion_matrix(true, guess))
    ious = [
        metrics.jaccard_score(t[t >= 0], g[t >= 0], average="macro")
        for t, g in zip(LABELS, predicted()["label_map"], strict=True)
    ]
    np.testing.assert_array_equal(page.worst.rows, np.argsort(ious))
    np.testing.assert_allclose(page.worst.keys, np.sort(ious))
    np.testing.assert_array_equal(page.best.rows, np.argsort(ious)[::-1])


def test_page_is_the_same_however_the_examples_came():
    whole, parts = page_of(slice(None)), page_of(slice(0, 1), slice(1, 4))
    parts.merge(pickle.loads(pickle.dumps(page_of(slice(4, 6)))))
    assert parts.images == whole.images
    np.testing.assert_array_equal(parts.counts, whole.counts)
    for one, other in ((parts.worst, whole.worst), (parts.best, whole.best), (parts.some, whole.some)):
        assert one.rows.tolist() == other.rows.tolist()


def test_page_has_its_sections_and_says_its_result(tmp_path):
    results = page_of(slice(None)).results(Run(tmp_path))
    assert results.label == "test mean IoU"
    html = "".join(results.sections)
    for words in (
        "<h2>Classes</h2>",
        "Intersection over union",
        "<h2>Confusion matrix</h2>",
        "<h2>Examples</h2>",
        "<h2>Worst examples</h2>",
        "<h2>Best examples</h2>",
        "background",
    ):
        assert words in html
    assert set(results.pictures) == {"confusion.png", "predictions.png"}


@pytest.mark.parametrize("images", [2, 0])
def test_page_of_pixels_that_do_not_count_says_so_and_is_drawn(images, tmp_path):
    page = page_of()
    nothing = {**BATCH, "label_map": np.full_like(LABELS, IGNORE)}
    page.add({name: value[:images] for name, value in nothing.items()}, predicted(slice(images)))
    results = page.results(Run(tmp_path))
    assert results.value == "–"
    assert results.detail == f"no pixel that counts in {images} images"
    assert results.notes == ["There is no pixel that counts in the held-out images: no mean IoU."]
    assert "None." in "".join(results.sections)
    assert set(results.pictures) == {"confusion.png"}


def test_record_has_every_pixel_and_the_line_names_what_is_not_background():
    page = page_of()
    label_map = np.array([[3, 3, 0, 0], [0, 1, 3, 3]], np.int32)
    record = page.record({"label_map": label_map})
    again = np.concatenate([np.full(length, label) for label, length in record["runs"]])
    np.testing.assert_array_equal(again.reshape(record["height"], record["width"]), label_map)
    assert record["shares"] == {"background": 0.5, "cat": 0.375, "dog": 0.125}
    assert page.words({"label_map": label_map}) == "cat 37.5 %, dog 12.5 %"
    assert page.words({"label_map": np.full((2, 2), 3)}) == "background alone"
    seen_half = {"label_map": np.array([[0, IGNORE]], np.int32)}
    assert (page.record(seen_half)["shares"], page.words(seen_half)) == ({"cat": 1.0}, "cat 100.0 %")
    picture = page.picture({"image": BATCH["image"][0]}, {"label_map": LABELS[0].clip(0)})
    assert (picture.dtype, picture.ndim, picture.shape[-1]) == (np.uint8, 3, 3)


@pytest.mark.parametrize("lines", [1, LEGEND, None])
@pytest.mark.parametrize("classes", [2, 12, 40])
def test_no_entry_of_the_legend_crosses_the_border(classes, lines):
    names = tuple(f"a class named {label}" for label in range(classes))
    labels = np.arange(48).reshape(6, 8) % classes
    image = np.zeros((6, 8, 3), np.uint8)
    figure = panels([Shown(image, None, labels, "")], Palette(names, None, 255), side=3.2, legend_lines=lines)
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    legend = [text for text in axes.texts if text.get_text().startswith("a")]
    for drawn in (*legend, *axes.patches):
        box = drawn.get_window_extent(renderer)
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
    words = [text.get_text() for text in legend]
    assert len(axes.patches) == sum(word in names for word in words)
    left_out = classes - len(axes.patches)
    assert words == [*names[: classes - left_out], *([f"and {left_out} more"] if left_out else [])]
    assert (left_out > 0) == (lines is not None and classes > 4 * lines)
