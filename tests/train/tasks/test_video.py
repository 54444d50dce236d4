"""Classes and numbers of videos: what a network is given, and how the clips of a video are averaged."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from train.config import Augment, RecipeError
from train.config.tasks.video import VideoClassification, VideoRegression
from train.data import ArraySource, Facts, Field, Kind, augment
from train.report import theme
from train.tasks import make_task, restore_task
from train.tasks.protocol import Keys, fitted
from train.tasks.video.page import VideoPage, VideoValuePage

NAMES, TIME, SIDE, CLIPS, BATCH = ("a", "b", "c"), 4, 6, 3, 5


def source_of(clips=1, count=6, flow=True, readable=True):
    """Random videos of so many clips, of which the third could not be read."""
    random = np.random.default_rng(0)
    arrays = {
        "clip": random.integers(0, 256, (count, clips * TIME, SIDE, SIDE, 3), np.uint8),
        "label": np.arange(count, dtype=np.int32) % 3,
        "target": random.normal(5, 2, count).astype(np.float32),
    }
    kinds = {"clip": Kind.CLIP, "label": Kind.LABEL, "target": Kind.VALUE}
    if flow:
        arrays["flows"] = random.integers(1, 256, (count, clips * (TIME - 1), SIDE, SIDE, 2), np.uint8)
        kinds["flows"] = Kind.FLOWS
    if readable:
        arrays["readable"] = np.arange(count) != 2
        kinds["readable"] = Kind.PLAIN
    spec = {name: Field(kinds[name], array.shape[1:], array.dtype.name) for name, array in arrays.items()}
    return ArraySource("videos", arrays, spec, Facts(NAMES, "stars"))


def batch_of(clips=1, **options):
    """Floats, as a task sees them; the last example fills the batch up."""
    arrays = {name: array[:BATCH] for name, array in source_of(clips, **options).arrays().items()}
    for name in {"clip", "flows"} & arrays.keys():
        arrays[name] = arrays[name].astype(np.float32) / 255
    return {**arrays, "mask": np.arange(BATCH) < BATCH - 1, "index": np.arange(BATCH)}


REAL = np.array([True, True, False, True, False])


def task_of(settings=None, **options):
    return make_task(settings or VideoClassification(), source_of(**options))


def test_a_network_of_clips_is_given_each_clip_alone():
    batch = batch_of(CLIPS)
    (seen,) = task_of().inputs(batch)
    expected = [batch["clip"][row, clip * TIME : (clip + 1) * TIME] for row in range(BATCH) for clip in range(CLIPS)]
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("mean_flow", [False, True])
def test_a_stack_of_flow_has_x_and_y_of_each_field_in_turn(mean_flow):
    batch = batch_of(2)
    (seen,) = task_of(VideoClassification(sees="flow", mean_flow=mean_flow)).inputs(batch)
    assert seen.shape == (2 * BATCH, SIDE, SIDE, 2 * (TIME - 1))
    for row in range(BATCH):
        for clip in range(2):
            for time in range(TIME - 1):
                for axis in range(2):
                    field = batch["flows"][row, clip * (TIME - 1) + time, :, :, axis]
                    expected = field - field.mean() if mean_flow else field
                    np.testing.assert_allclose(seen[2 * row + clip, :, :, 2 * time + axis], expected, atol=1e-6)


def test_a_spatial_stream_sees_the_middle_frame_and_in_training_any():
    batch, task = batch_of(2), task_of(VideoClassification(sees="frame"))
    (middle,) = task.inputs(batch)
    np.testing.assert_array_equal(middle, batch["clip"][:, [TIME // 2, TIME + TIME // 2]].reshape(-1, SIDE, SIDE, 3))
    clips, numbers = batch["clip"].reshape(2 * BATCH, TIME, SIDE, SIDE, 3), []
    for seed in range(20):
        (drawn,) = task.inputs(batch, jax.random.key(seed))
        for clip, frame in zip(clips, np.asarray(drawn), strict=True):
            (number,) = (time for time in range(TIME) if np.array_equal(clip[time], frame))
            numbers.append(number)
    assert np.bincount(numbers, minlength=TIME).min() > 25
    frame, stack = task_of(VideoClassification(sees="frame_and_flow")).inputs(batch)
    np.testing.assert_array_equal(frame, middle)
    assert stack.shape[-1] == 2 * (TIME - 1)


def totals_of(task, outputs, batch):
    """On the host; as one program, which compiles in a fraction of what its steps one by one do."""
    return jax.device_get(jax.jit(task.totals)(outputs, batch))


def loss_of(task, outputs, batch):
    return float(jax.jit(lambda outputs, batch: task.objective(outputs, batch).value())(outputs, batch))


def logits_of(clips, seed=1):
    return (4 * np.random.default_rng(seed).normal(size=(BATCH * clips, 3))).astype(np.float32)


@pytest.mark.parametrize("clips", [1, CLIPS])
def test_a_video_is_of_the_class_with_the_largest_mean_probability(clips):
    batch, logits, task = batch_of(clips), logits_of(clips), task_of()
    chances = softmax(logits, axis=-1).reshape(BATCH, clips, 3).mean(axis=1)
    right = (chances.argmax(axis=-1) == batch["label"])[REAL]
    of_clips = (logits.reshape(BATCH, clips, 3).argmax(axis=-1) == batch["label"][:, None])[REAL]
    totals = totals_of(task, logits, batch)
    scores = task.scores(totals)
    assert scores["accuracy"] == pytest.approx(right.mean())
    assert scores["clip_accuracy"] == pytest.approx(of_clips.mean())
    assert scores["loss"] == pytest.approx(-np.log(chances[np.arange(BATCH), batch["label"]])[REAL].mean(), rel=1e-5)
    assert (totals["count"], totals["clips"]) == (3, 3 * clips)
    assert set(scores) == {metric.name for metric in task.metrics}
    predicted = task.predict(lambda params, *inputs: (jnp.asarray(logits), {}), {}, batch, None)
    np.testing.assert_allclose(np.exp(predicted["logits"]), chances, rtol=1e-5)


def test_a_mean_of_probabilities_is_no_vote():
    task, logits = task_of(), np.log(np.float32([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.05, 0.9, 0.05]]))
    batch = {name: value[:1] for name, value in batch_of(3).items()} | {"label": np.int32([1])}
    scores = task.scores(totals_of(task, logits, batch))
    assert (scores["accuracy"], scores["clip_accuracy"]) == (1, pytest.approx(1 / 3))


@pytest.mark.parametrize("clips", [1, CLIPS])
def test_the_loss_is_the_mean_over_clips_that_could_be_read(clips):
    batch, logits, task = batch_of(clips), logits_of(clips), task_of()
    labels = np.repeat(batch["label"], clips)
    losses = -log_softmax(logits.astype(np.float64), axis=-1)[np.arange(len(labels)), labels]
    expected = losses.reshape(BATCH, clips)[REAL].mean()
    loss, gradient = jax.jit(jax.value_and_grad(lambda logits, batch: task.objective(logits, batch).value()))(
        logits, batch
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    still = np.all(np.asarray(gradient).reshape(BATCH, -1) == 0, axis=1)
    np.testing.assert_array_equal(still, ~REAL)


def test_auxiliary_heads_are_learned_and_not_measured():
    batch, task = batch_of(), task_of()
    outputs = {"logits": jnp.asarray(logits_of(1)), "aux1": jnp.asarray(logits_of(1, seed=2))}
    alone = [loss_of(task, value, batch) for value in outputs.values()]
    assert loss_of(task, outputs, batch) == pytest.approx(alone[0] + 0.3 * alone[1], rel=1e-5)
    measured = [totals_of(task, value, batch)["loss"] for value in (outputs, outputs["logits"])]
    np.testing.assert_array_equal(*measured)


def test_mixed_clips_share_the_loss():
    batch, logits, task = batch_of(readable=False), logits_of(1), task_of(readable=False)
    mixed = {**batch, "label_b": batch["label"][::-1], "mix": np.full(BATCH, 0.3, np.float32)}
    one, other = (loss_of(task, logits, {**batch, "label": label}) for label in (batch["label"], mixed["label_b"]))
    found = loss_of(task, logits, mixed)
    assert found == pytest.approx(0.3 * one + 0.7 * other, rel=1e-5)


def test_nothing_is_learned_of_a_clip_that_could_not_be_read_and_was_mixed_in():
    task, spec = task_of(), source_of().spec
    raw = {name: array[:4] for name, array in source_of().arrays().items() if name != "flows"}
    spec = {name: field for name, field in spec.items() if name != "flows"}
    vary = augment(Augment(mixup=0.4), spec, mixes=task.mixes)
    batch = {**jax.jit(vary)(jax.random.key(0), raw), "mask": np.ones(4, bool)}
    assert batch["readable_b"].tolist() == [True, False, True, True]  # the third is the second's partner
    logits = logits_of(1)[:4]
    own, other = (
        -log_softmax(logits.astype(np.float64), axis=-1)[np.arange(4), batch[label]] for label in ("label", "label_b")
    )
    mix = np.where([True, False, True, True], batch["mix"], 1)
    expected = (mix * own + (1 - mix) * other)[[0, 1, 3]].mean()
    assert loss_of(task, logits, batch) == pytest.approx(expected, rel=1e-5)
    assert loss_of(task, {"logits": logits, "aux1": logits}, batch) == pytest.approx(1.3 * expected, rel=1e-5)


def test_a_value_is_the_mean_over_the_clips():
    batch, task = batch_of(CLIPS), task_of(VideoRegression())
    outputs = np.random.default_rng(3).normal(size=(BATCH * CLIPS, 1)).astype(np.float32)
    values = task.mean + task.std * outputs.reshape(BATCH, CLIPS).mean(axis=1)
    predicted = task.predict(lambda params, *inputs: (jnp.asarray(outputs), {}), {}, batch, None)
    np.testing.assert_allclose(predicted["value"], values, rtol=1e-5)
    scores = task.scores(totals_of(task, outputs, batch))
    assert scores["mae"] == pytest.approx(np.abs(values - batch["target"])[REAL].mean(), rel=1e-5)
    standardised = np.repeat((batch["target"] - task.mean) / task.std, CLIPS)
    squared = np.square(outputs[:, 0] - standardised).reshape(BATCH, CLIPS)[REAL].mean()
    assert loss_of(task, outputs, batch) == pytest.approx(squared, rel=1e-5)


def test_training_draws_the_frame_from_the_key_of_the_step():
    task, batch = task_of(VideoClassification(sees="frame")), batch_of()

    @jax.jit
    def frames_of(key):
        def apply(params, frames):
            return jnp.zeros((len(frames), 3)), {"seen": frames}

        return task.loss(apply, {}, batch, Keys(jax.random.key(9), key))[1].state["seen"]

    seen = [np.asarray(frames_of(jax.random.key(seed))) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        (
            VideoClassification(sees="flow"),
            {"flow": False},
            r"task\.sees: flow needs examples with flow: expected data",
        ),
        (VideoClassification(sees="frame_and_flow"), {"flow": False}, "frame_and_flow needs examples with flow"),
    ],
)
def test_what_is_not_there_is_named(settings, options, said):
    with pytest.raises(RecipeError, match=said):
        task_of(settings, **options)


def test_examples_of_another_form_are_refused():
    images = ArraySource(
        "images", {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.arange(4)}, facts=Facts(NAMES)
    )
    with pytest.raises(RecipeError, match="video_classification needs examples with clips; found image"):
        make_task(VideoClassification(), images)
    task = task_of()
    with pytest.raises(RecipeError, match=r"expected clips of 4 frames, found clip uint8\[6,"):
        task.check({**source_of().spec, "clip": Field(Kind.CLIP, (6, SIDE, SIDE, 3), "uint8")}, Facts(NAMES, "stars"))


@pytest.mark.parametrize("settings", [VideoClassification(sees="frame"), VideoRegression(sees="flow", dims=2)])
def test_a_task_comes_back_from_its_card(settings):
    task = task_of(settings)
    assert restore_task(settings, fitted(task)) == task
    assert task.fields[0] == "clip"
    assert ("flows" in task.fields, "readable" in task.fields) == (settings.sees == "flow", True)
    assert "readable" not in task_of(settings, readable=False).fields


@functools.cache
def pages():
    """Pages that saw two batches, one of them in two parts."""
    found = []
    for kind in (VideoPage, VideoValuePage):
        batch = batch_of(CLIPS)
        batch["clip"] = source_of(CLIPS).arrays()["clip"][:BATCH]
        chances = np.log(softmax(logits_of(1), axis=-1))
        predicted = {"logits": chances, "value": batch["target"] + chances[:, 0]}
        page, other = (
            kind(NAMES if kind is VideoPage else "stars", TIME),
            kind(NAMES if kind is VideoPage else "stars", TIME),
        )
        page.add(batch, predicted)
        other.add({**batch, "index": batch["index"] + BATCH}, predicted)
        page.merge(other)
        found.append((page, batch))
    return found


def test_pages_count_what_could_be_read_and_keep_strips_of_the_clip_in_the_middle():
    (classes, batch), (values, _) = pages()
    assert (classes.support.sum(), values.count, classes.unreadable, values.unreadable) == (8, 8, 2, 2)
    for leading in (classes.wrong, classes.right, values.worst):
        for kept in leading.examples():
            row = kept["row"] % BATCH
            np.testing.assert_array_equal(kept["image"], batch["clip"][row, TIME : 2 * TIME])


def test_pages_show_strips_and_say_what_was_left_out(monkeypatch):
    monkeypatch.setattr(theme, "DPI", 24)
    for page, _ in pages():
        results = page.results(None)
        assert "Videos that could not be read, left out: 2." in results.notes
        assert results.pictures["predictions.png"][:4] == b"\x89PNG"
        assert sum("<img" in section for section in results.sections) >= 2
