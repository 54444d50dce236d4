"""Optical flow as a task: errors over what is known, three losses, and a page that keeps little."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Augment, RecipeError
from train.config.tasks.flow import Flow as Settings
from train.data.augment import augment, preprocess
from train.data.fields import NO_FACTS, Field, Kind
from train.data.source import ArraySource
from train.report import Run, theme
from train.tasks import fitted, make_task, restore_task
from train.tasks.flow.page import SHOWN, FlowPage
from train.tasks.flow.task import OpticalFlow, stride_of, whole_flow
from zoo.dense.flow_losses import MULTI_SCALE_WEIGHTS, multi_scale_loss, sequence_loss

RANDOM = np.random.default_rng(0)
COUNT, SIDE = 4, 16
SPEC = {
    "image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "second": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "flow": Field(Kind.FLOW, (SIDE, SIDE, 2), "float32"),
    "occluded": Field(Kind.LABEL_MAP, (SIDE, SIDE), "int32"),
}
TRUE = RANDOM.normal(scale=3, size=(COUNT, SIDE, SIDE, 2)).astype(np.float32)
TRUE[0, :4] = np.nan
BATCH = {
    "image": RANDOM.random((COUNT, SIDE, SIDE, 3)).astype(np.float32),
    "second": RANDOM.random((COUNT, SIDE, SIDE, 3)).astype(np.float32),
    "flow": TRUE,
    "occluded": RANDOM.integers(-1, 2, (COUNT, SIDE, SIDE)).astype(np.int32),
    "index": np.arange(COUNT),
    "mask": np.ones(COUNT, bool),
}
GUESS = RANDOM.normal(scale=3, size=TRUE.shape).astype(np.float32)
TASK = OpticalFlow(True, "auto")
TOTALS = jax.jit(TASK.totals)


def test_scores_are_those_of_the_definitions():
    scores = TASK.scores(jax.device_get(TOTALS(GUESS, BATCH)))
    known = ~np.isnan(TRUE).any(axis=-1)
    error = np.linalg.norm(GUESS - TRUE, axis=-1)
    assert scores["epe"] == pytest.approx(error[known].mean(), rel=1e-5)
    assert scores["epe_visible"] == pytest.approx(error[known & (BATCH["occluded"] == 0)].mean(), rel=1e-5)
    length = np.linalg.norm(TRUE, axis=-1)
    assert scores["epe_zero"] == pytest.approx(length[known].mean(), rel=1e-5)
    assert scores["fl_all"] == pytest.approx(((error > 3) & (error > 0.05 * length))[known].mean(), rel=1e-5)
    assert {metric.name for metric in TASK.metrics} < scores.keys()
    assert not any(metric.higher_is_better for metric in TASK.metrics)


def test_parts_and_padding_add_up_to_the_whole():
    whole = TOTALS(GUESS, BATCH)
    parts = []
    for rows, real in (([0, 1], 2), ([2, 3], 2), ([3, 3], 0)):
        part = {name: value[rows] for name, value in BATCH.items()} | {"mask": np.arange(2) < real}
        parts.append(TOTALS(GUESS[rows], part))
    jax.tree.map(lambda total, *parts: np.testing.assert_allclose(sum(parts), total, rtol=1e-5), whole, *parts)


@pytest.fixture(scope="module")
def losses():
    """Loss and gradient of flows, by the name of the loss; compiled once each."""

    def of(name):
        task = dataclasses.replace(TASK, supervised=name)

        def loss(flows, batch):
            return task.objective(flows, batch).value()

        return jax.jit(jax.value_and_grad(loss))

    return {name: of(name) for name in ("auto", "photometric")}


SCALES = tuple(jnp.asarray(RANDOM.normal(size=(COUNT, side, side, 2)), jnp.float32) for side in (2, 4))
UPDATES = (jnp.asarray(GUESS), jnp.asarray(TRUE[::-1].copy()))


def test_auto_is_multi_scale_for_scales_and_a_sequence_for_whole_flows(losses):
    known = ~np.isnan(TRUE).any(axis=-1)
    expected = multi_scale_loss(SCALES, TRUE, known, (2.0, 1.0), (8, 4))
    assert losses["auto"](SCALES, BATCH)[0] == pytest.approx(float(expected.total / expected.weight), rel=1e-5)
    updates = tuple(jnp.nan_to_num(flow) for flow in UPDATES)
    expected = sequence_loss(updates, TRUE, known)
    assert losses["auto"](updates, BATCH)[0] == pytest.approx(float(expected.total / expected.weight), rel=1e-5)


@pytest.mark.parametrize("outputs", [SCALES, (jnp.asarray(GUESS),)])
def test_batch_without_known_flow_has_no_loss_and_no_gradient(losses, outputs):
    nothing = {**BATCH, "flow": np.full_like(TRUE, np.nan)}
    loss, gradient = losses["auto"](outputs, nothing)
    assert float(loss) == 0
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    some, gradient = losses["auto"](outputs, BATCH)
    assert np.isfinite(some)
    assert all(np.all(np.isfinite(leaf)) and np.any(leaf) for leaf in jax.tree.leaves(gradient))
    scores = TASK.scores(jax.device_get(TOTALS(GUESS, nothing)))
    assert all(np.isnan(value) for value in scores.values())


def test_photometric_loss_prefers_the_true_flow_and_does_not_read_it(losses):
    image = RANDOM.random((COUNT, SIDE, SIDE, 3)).astype(np.float32)
    second = np.roll(image, (1, 2), axis=(1, 2))
    unknown = {**BATCH, "image": image, "second": second, "flow": np.full_like(TRUE, np.nan)}
    right = jnp.broadcast_to(jnp.array([2.0, 1.0]), TRUE.shape)
    of_right, gradient = losses["photometric"]((right,), unknown)
    assert float(of_right) < 0.5 * float(losses["photometric"]((0 * right,), unknown)[0])
    assert np.all(np.isfinite(gradient[0]))


def test_photometric_loss_is_of_pixels_however_images_are_normalised():
    normal = Augment(mean=(0.3, 0.2, 0.1), std=(0.2,))
    images = {name: RANDOM.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8) for name in ("image", "second")}
    arrays = {name: np.zeros((2, *field.shape), field.dtype) for name, field in SPEC.items()}
    settings, source = Settings(loss="photometric"), ArraySource("flows", arrays, SPEC, NO_FACTS)
    losses = []
    for config in (Augment(), normal):
        task, batch = make_task(settings, source, config), preprocess(config, SPEC)({**BATCH, **images})
        losses.append(jax.jit(task.objective)((GUESS,), batch).value())
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-5)


def test_five_flows_have_the_weights_of_flownet_also_where_several_are_of_one_place():
    places = {64: 1, 32: 1, 16: 1, 8: 2, 4: 4}
    flows = [jnp.ones((1, side, side, 2)) for side in places.values()]
    batch = {"flow": jnp.zeros((1, 16, 16, 2)), "mask": jnp.ones(1, bool)}
    weighted = sum(weight * side**2 for weight, side in zip(MULTI_SCALE_WEIGHTS, places.values(), strict=True))
    assert float(jax.jit(TASK.objective)(flows, batch).value()) == pytest.approx(2**0.5 * weighted / 16, rel=1e-5)


def test_flows_of_every_stride_become_whole_ones():
    assert [stride_of((436, 1024), size) for size in ((436, 1024), (218, 512), (7, 16))] == [1, 2, 64]
    assert stride_of((5, 1), (1, 1)) == 8
    with pytest.raises(ValueError, match=r"expected a flow of an image's size \(9, 9\) over a power of two, got \(4,"):
        stride_of((9, 9), (4, 5))
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (1, 8, 8, 2))
    np.testing.assert_allclose(whole_flow(ramp, (15, 15))[0, 1:-1, 0, 0], np.arange(1, 14) / 2 - 0.25)


def test_task_is_fitted_restored_and_checks_its_examples():
    arrays = {name: np.zeros((2, *field.shape), field.dtype) for name, field in SPEC.items()}
    source = ArraySource("flows", arrays, SPEC, NO_FACTS)
    task = make_task(Settings(loss="sequence", gamma=0.7), source)
    assert task == restore_task(Settings(loss="sequence", gamma=0.7), fitted(task))
    assert (task.fields, task.supervised, task.gamma) == (("image", "second", "flow", "occluded"), "sequence", 0.7)
    task.check(SPEC, NO_FACTS)
    plain = dataclasses.replace(task, has_occluded=False)
    assert "epe_visible" not in {metric.name for metric in plain.metrics}
    plain.check({name: SPEC[name] for name in ("image", "second", "flow")}, NO_FACTS)
    with pytest.raises(RecipeError, match="expected examples with occluded"):
        task.check({name: SPEC[name] for name in ("image", "second", "flow")}, NO_FACTS)
    with pytest.raises(RecipeError, match="found flow of kind map"):
        task.check({**SPEC, "flow": SPEC["flow"]._replace(kind=Kind.MAP)}, NO_FACTS)
    with pytest.raises(RecipeError, match="expected two images of one shape"):
        task.check({**SPEC, "second": SPEC["second"]._replace(shape=(SIDE, SIDE, 1))}, NO_FACTS)
    with pytest.raises(RecipeError, match="gamma"):
        Settings(gamma=0.0)


def test_variations_are_drawn_once_for_both_frames():
    """The second frame is the first: whatever happens, it still is; and the flow turns with them."""
    image = RANDOM.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)
    flow = np.ones((COUNT, SIDE, SIDE, 2), np.float32)
    batch = {"image": image, "second": image, "flow": flow, "occluded": np.zeros((COUNT, SIDE, SIDE), np.int32)}
    moves = Augment(flip=True, pad_crop=2, rotate=20.0, cutout=4, erase=1.0, mean=(0.3,), std=(0.2,))
    varied = jax.jit(augment(moves, SPEC))(jax.random.key(0), batch)
    np.testing.assert_array_equal(varied["image"], varied["second"])
    assert np.std(np.asarray(varied["image"]) - (image / 255 - 0.3) / 0.2) > 0.1
    known = ~np.isnan(varied["flow"]).any(axis=-1)
    lengths = np.linalg.norm(varied["flow"], axis=-1)
    np.testing.assert_allclose(lengths[known], np.sqrt(2), atol=1e-4)
    assert 0.5 < known.mean() < 1  # what came in from outside is unknown
    with pytest.raises(RecipeError, match=r"augment\.trivial: no rule for field 'flow'"):
        augment(Augment(trivial=True), SPEC)
    with pytest.raises(RecipeError, match="do not go with a task that mixes none"):
        augment(Augment(mixup=0.2), {name: SPEC[name] for name in ("image", "second")})


@pytest.fixture(scope="module")
def coarse():
    """Figures are drawn of few pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "DPI", 24)
        yield


def page_of(flows, predictions, size=COUNT):
    page = FlowPage()
    for first in range(0, len(flows), size):
        rows = slice(first, first + size)
        image = np.zeros((len(flows[rows]), SIDE, SIDE, 3), np.uint8)
        batch = {"flow": flows[rows], "image": image, "index": np.arange(len(flows))[rows]}
        page.add(batch, {"flow": predictions[rows]})
    return page


def test_page_shows_the_worst_and_the_best_beside_no_motion_and_keeps_few(coarse):
    count = 3 * SHOWN
    flows = np.repeat(TRUE[1:2], count, axis=0)
    predictions = flows + np.linspace(0, 4, count, dtype=np.float32)[:, None, None, None]
    flows[-1] = np.nan
    page = page_of(flows, predictions)
    assert (len(page.worst), len(page.best)) == (SHOWN, SHOWN)
    assert page.best.rows[0] == 0
    assert page.worst.rows[0] == count - 2  # of the last nothing is known
    results = page.results(Run.__new__(Run))
    error = np.linalg.norm(predictions - flows, axis=-1)[:-1].mean()
    assert results.value == f"{error:.2f} px"
    assert f"no motion at all: {np.linalg.norm(TRUE[1], axis=-1).mean():.2f} px" in results.detail
    assert results.pictures["predictions.png"].startswith(b"\x89PNG")
    html = "".join(results.sections)
    assert all(title in html for title in ("Worst pairs", "Best pairs", "error of no motion"))
    halves = page_of(flows[:10], predictions[:10])
    other = page_of(flows[10:], predictions[10:])
    other.worst.rows, other.best.rows = other.worst.rows + 10, other.best.rows + 10
    halves.merge(pickle.loads(pickle.dumps(other)))
    assert halves.worst.rows.tolist() == page.worst.rows.tolist()
    assert (halves.error.sum(), halves.outliers) == (pytest.approx(page.error.sum()), page.outliers)


def test_page_of_nothing_says_so():
    page = page_of(np.full_like(TRUE, np.nan), GUESS)
    results = page.results(Run.__new__(Run))
    assert results.value == "–"
    assert "no pixel whose flow is known in 4 pairs" in results.detail


def test_prediction_is_said_drawn_and_written_as_flo(tmp_path):
    from train.data.flow_files import read_flow

    page, flow = FlowPage(), np.full((SIDE, SIDE, 2), [3.0, 4.0], np.float32)
    flow[0, 0] = np.nan
    assert page.words({"flow": flow}) == "5.00 pixels on average, at most 5.00"
    assert page.record({"flow": flow}) == {"mean": 5.0, "longest": 5.0, "motion": [3.0, 4.0]}
    assert page.words({"flow": np.full_like(flow, np.nan)}) == "no flow is known"
    drawn = [page.picture({"image": np.zeros((SIDE, SIDE, 3), np.uint8)}, {"flow": scale * flow}) for scale in (1, 9)]
    assert drawn[0].shape == drawn[1].shape
    file = tmp_path / "a.flo"
    file.write_bytes(page.files({"flow": flow})["flo"])
    np.testing.assert_array_equal(read_flow(file), flow)
