"""Images as another library takes them: what the first convolution makes of them, and files in which it misfits."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import zoo
from tests.convnets import families
from zoo.weights import WeightsError
from zoo.weights.inputs import Inputs

BLUE_FIRST = Inputs("stem", channels=(2, 1, 0), scale=(2.0, 3.0, 5.0), shift=(0.5, -1.0, 0.25))


def test_our_image_gives_what_theirs_would_have_given():
    random = np.random.default_rng(0)
    kernel, bias, pixel = (random.standard_normal(shape) for shape in ((1, 1, 3, 4), (4,), (3,)))
    arrays = {"params/stem/kernel": kernel, "params/stem/bias": bias}
    ours = BLUE_FIRST.to_ours(arrays)
    theirs = pixel[::-1] * BLUE_FIRST.scale + BLUE_FIRST.shift
    expected = theirs @ kernel[0, 0] + bias
    np.testing.assert_allclose(pixel @ ours["params/stem/kernel"][0, 0] + ours["params/stem/bias"], expected)
    for name, array in BLUE_FIRST.to_theirs(ours).items():
        np.testing.assert_allclose(array, arrays[name])


def test_a_convolution_over_any_number_of_axes_sees_every_place_shifted():
    random = np.random.default_rng(0)
    kernel, bias, clip = (random.standard_normal(shape) for shape in ((2, 3, 3, 3, 4), (4,), (2, 3, 3, 3)))
    ours = BLUE_FIRST.to_ours({"params/stem/kernel": kernel, "params/stem/bias": bias})
    theirs = clip[..., ::-1] * BLUE_FIRST.scale + BLUE_FIRST.shift
    expected = np.einsum("thwc,thwco->o", theirs, kernel) + bias
    found = np.einsum("thwc,thwco->o", clip, ours["params/stem/kernel"]) + ours["params/stem/bias"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("shape", [(3,), (4, 1), ()])
def test_a_bias_of_another_shape_stays_as_it_is(shape):
    arrays = {"params/stem/kernel": np.ones((1, 1, 3, 4)), "params/stem/bias": np.ones(shape)}
    for change in (BLUE_FIRST.to_ours, BLUE_FIRST.to_theirs):
        for name, array in change(arrays).items():
            np.testing.assert_array_equal(array, arrays[name])


def test_a_file_with_such_a_bias_is_reported_with_all_else_that_misfits(tmp_path):
    model = zoo.create("squeezenet_tiny")
    zoo.save_weights(families.he_normal(model, (32, 32, 3)), tmp_path / "w.safetensors", layout="ndf", model=model)
    arrays = load_file(tmp_path / "w.safetensors")
    kept = arrays["conv1.bias"].size
    arrays |= {"conv1.bias": np.zeros(kept + 1, np.float32), "mystery": np.zeros(1, np.float32)}
    save_file(arrays, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as error:
        zoo.load_weights(model, tmp_path / "w.safetensors")
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "mystery: no rule for it",
        f"conv1.bias: expected shape ({kept},), got ({kept + 1},)",
    ]
