"""Two streams and segments: what fusion and consensus make of networks that were not changed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import zoo
from tests.video.clips import drawn, noise
from zoo.video import TSN, TwoStream, inflate, joined

FRAMES, FLOW = noise(2, 32, 32, 3), noise(2, 32, 32, 8, seed=1)


@functools.cache
def streams():
    """Two classifiers trained alone: models, variables, logits and maps."""
    found = []
    for inputs in (FRAMES, FLOW):
        model = zoo.create("resnet_tiny", num_classes=5)
        variables = drawn(model, inputs)
        found.append((variables, jax.jit(functools.partial(model.apply, features=True))(variables, inputs)))
    return found


def two_stream(**options):
    parts = {name: zoo.create("resnet_tiny", num_classes=0) for name in ("spatial", "temporal")}
    return TwoStream(**parts, num_classes=5, **options)


@pytest.mark.parametrize("weight", [0.5, 2 / 3])
def test_the_average_of_two_trained_networks_is_the_mean_of_their_probabilities(weight):
    (spatial, of_frames), (temporal, of_flow) = streams()
    model = two_stream(temporal_weight=weight)
    logits = jax.jit(model.apply)(joined(spatial, temporal), FRAMES, FLOW)
    first, second = (scipy.special.softmax(of["logits"], -1) for of in (of_frames, of_flow))
    expected = (1 - weight) * first + weight * second
    np.testing.assert_allclose(scipy.special.softmax(logits, -1), expected, rtol=1e-4)
    np.testing.assert_allclose(np.exp(logits).sum(-1), 1, rtol=1e-5)


def test_fusion_by_convolution_sees_both_maps_at_each_place():
    (spatial, of_frames), (temporal, of_flow) = streams()
    model = two_stream(fusion="conv", map="stage3")
    variables = drawn(model, FRAMES, FLOW)
    for name, own in (("spatial", spatial), ("temporal", temporal)):
        for collection, tree in own.items():
            variables[collection][name] = {layer: value for layer, value in tree.items() if layer != "head"}
    found = jax.jit(functools.partial(model.apply, features=True))(variables, FRAMES, FLOW)
    maps = np.concatenate([of_frames["stage3"], of_flow["stage3"]], axis=-1)
    np.testing.assert_allclose(found["temporal/stage3"], of_flow["stage3"], rtol=0, atol=1e-5)
    kernel, bias = (variables["params"]["fuse"][part] for part in ("kernel", "bias"))
    fused = np.maximum(maps @ kernel[0, 0] + bias, 0)
    np.testing.assert_allclose(found["fused"], fused, rtol=0, atol=1e-4 * fused.max())
    head = variables["params"]["head"]
    expected = fused.mean((1, 2)) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_learned_fusion_is_one_classifier_of_both_features():
    (_, of_frames), (_, of_flow) = streams()
    shapes = jax.eval_shape(two_stream(fusion="learned").init, jax.random.key(0), FRAMES, FLOW)["params"]
    assert set(shapes) == {"spatial", "temporal", "head"}
    width = of_frames["pre_logits"].shape[-1] + of_flow["pre_logits"].shape[-1]
    assert shapes["head"]["kernel"].shape == (width, 5)


@pytest.mark.slow  # two networks of many modules to trace
def test_streams_may_be_of_clips():
    parts = {name: zoo.create("i3d_tiny", num_classes=0) for name in ("spatial", "temporal")}
    model = TwoStream(**parts, num_classes=5)
    inputs = (jax.ShapeDtypeStruct((1, 9, 32, 32, channels), jnp.float32) for channels in (3, 2))
    logits, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), *inputs)
    assert logits.shape == (1, 5)


def test_the_temporal_stream_begins_from_weights_of_images():
    model = zoo.create("two_stream_tiny")
    variables = drawn(model, noise(1, 32, 32, 3), noise(1, 32, 32, 20))
    wanted = {collection: tree["temporal"] for collection, tree in variables.items()}
    temporal = inflate(streams()[0][0], wanted)  # of a classifier, whose head the stream has not
    assert "head" not in temporal["params"]
    assert temporal["params"]["stem"]["conv"]["kernel"].shape == (7, 7, 20, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "early"}, "no fusion of streams 'early'; "),
        ({"fusion": "conv", "map": "stage9"}, "no map of the spatial stream 'stage9'; "),
        ({"temporal_weight": 2.0}, "temporal_weight: expected a number from 0 to 1, got 2.0"),
    ],
)
def test_wrong_options_say_what_was_expected(options, message):
    with pytest.raises((ValueError, zoo.UnknownNameError), match=message):
        jax.eval_shape(two_stream(**options).init, jax.random.key(0), FRAMES, FLOW)


def test_maps_of_different_sizes_and_networks_without_a_head_are_refused():
    with pytest.raises(
        ValueError, match=r"expected maps of one size to fuse, got shapes \(2, 1, 1, 32\) and \(2, 2, 2"
    ):
        jax.eval_shape(two_stream(fusion="conv").init, jax.random.key(0), FRAMES, np.zeros((2, 64, 64, 8)))
    variables = streams()[0][0]
    headless = {"params": {layer: tree for layer, tree in variables["params"].items() if layer != "head"}}
    with pytest.raises(ValueError, match="expected a classifier with a layer head as the temporal stream"):
        joined(variables, headless)
    fewer = {"params": {**variables["params"], "head": {"kernel": np.zeros((32, 3)), "bias": np.zeros(3)}}}
    with pytest.raises(ValueError, match="expected streams of as many classes each, got 5 and 3"):
        joined(variables, fewer)


def test_segments_agree_on_the_mean_of_their_logits_in_any_order():
    variables, _ = streams()[0]
    image = zoo.create("resnet_tiny", num_classes=5)
    clip = noise(2, 3, 32, 32, 3, seed=2)
    parts = {"backbone": {}, "head": variables["params"]["head"]}
    parts["backbone"] = {layer: tree for layer, tree in variables["params"].items() if layer != "head"}
    own = {"params": parts, "batch_stats": {"backbone": variables["batch_stats"]}}

    @jax.jit
    def program(clip):
        model = TSN(zoo.create("resnet_tiny", num_classes=0), num_classes=5)
        every = image.apply(variables, clip.reshape(6, 32, 32, 3)).reshape(2, 3, 5)
        return every, *(model.copy(consensus=kind).apply(own, clip) for kind in ("average", "max"))

    every, average, largest = program(clip)
    np.testing.assert_allclose(average, np.mean(every, 1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(largest, np.max(every, 1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(program(clip[:, ::-1])[1], average, rtol=0, atol=1e-5)
    model = TSN(zoo.create("resnet_tiny", num_classes=0), consensus="vote")
    with pytest.raises(zoo.UnknownNameError, match="no consensus 'vote'; "):
        jax.eval_shape(model.init, jax.random.key(0), clip)
