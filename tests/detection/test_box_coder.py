"""Differences of boxes: torchvision's coders, the inverse, and what has no size."""

from pathlib import Path

import jax
import numpy as np
import pytest

from tests.detection.goldens import inputs
from zoo.detection import area
from zoo.detection.box_coder import BoxCoder, LinearBoxCoder

GOLDEN = np.load(Path(__file__).parent / "goldens" / "operations.npz")
DRAWN = inputs.crowd(0, 1000)[0]
DRAWN = DRAWN[area(DRAWN) > 0]
ONE, OTHER = DRAWN[:40], DRAWN[40:80]
WILD = 20 * inputs.slopes("wild", (40, 4))

CODER, LINEAR = BoxCoder((10.0, 10.0, 5.0, 5.0)), LinearBoxCoder()


def test_differences_and_boxes_are_torchvisions():
    assert (WILD[:, 2:] / 5 > CODER.largest).any()  # some are cut off
    for name, found in (
        ("encoded", CODER.encode(ONE, OTHER)),
        ("decoded", CODER.decode(WILD, OTHER)),
        ("linear_encoded", LINEAR.encode(ONE, OTHER)),
        ("linear_decoded", LINEAR.decode(WILD, OTHER)),
    ):
        np.testing.assert_allclose(found, GOLDEN[f"boxes/{name}"], rtol=2e-5, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("coder", [CODER, LINEAR, BoxCoder()], ids=["weighted", "linear", "plain"])
def test_decoding_is_the_inverse_of_encoding(coder):
    np.testing.assert_allclose(coder.decode(coder.encode(ONE, OTHER), OTHER), ONE, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("coder", [CODER, LINEAR], ids=["weighted", "linear"])
def test_what_has_no_size_or_is_no_number_gives_numbers_and_finite_gradients(coder):
    odd = np.array([[5, 5, 5, 5], [9, 9, 2, 2], [np.nan] * 4, [0, 0, np.inf, 1], [1, 2, 3, 4]], np.float32)
    one, other = (each.reshape(-1, 4) for each in np.broadcast_arrays(odd[:, None], odd[None]))
    for function in (coder.encode, coder.decode):
        total = jax.jit(jax.value_and_grad(lambda a, b, f=function: f(a, b).sum(), argnums=(0, 1)))
        assert np.isfinite(function(one, other)).all()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(total(one, other)))
    assert not np.asarray(coder.encode(odd[-1:], odd[:1])).any()
