"""SegNet: its size, its maps on the way down and up, and weights of VGG's stages that fit it.

What it computes is compared with torch's layers in `test_network_parity.py`.
"""

import itertools

import jax
import numpy as np
import pytest

from tests.convnets import families
from zoo.convnets.vgg import VGG
from zoo.dense.segnet import SegNet

THIN = {"depth": 11, "widths": (4, 4, 6, 6, 6)}


def test_its_parameters_are_those_of_the_papers_table():
    widths = [3, *(64,) * 2, *(128,) * 2, *(256,) * 3, *(512,) * 6]
    pairs = list(itertools.pairwise(widths))
    mirrored = [(b, a) for a, b in pairs[1:]]
    with_norm = sum((9 * a + 1) * b + 2 * b for a, b in [*pairs, *mirrored])
    expected = with_norm + (9 * 64 + 1) * 11
    assert families.parameters("segnet") == expected
    assert round(expected / 1e6, 2) == 29.45  # Table 6: 29.45M


def test_every_map_of_the_decoder_has_the_size_of_the_encoders_and_the_channels_of_the_stage_before():
    found = families.outputs(SegNet(num_classes=3, **THIN), (45, 70, 3), features=True)
    sizes = [(45, 70), (23, 35), (12, 18), (6, 9), (3, 5)]
    for i, size in enumerate(sizes, start=1):
        assert found[f"stage{i}"].shape[1:] == (*size, THIN["widths"][i - 1])
        assert found[f"up{i}"].shape[1:] == (*size, THIN["widths"][max(i - 2, 0)])
    assert found["logits"].shape == (2, 45, 70, 3)


def test_its_encoder_has_the_names_and_shapes_of_vggs_stages():
    ours = families.shapes(SegNet(**THIN), (64, 64, 3))
    theirs = families.shapes(VGG(batch_norm=True, maps_only=True, **THIN), (64, 64, 3))
    stages = {path: leaf.shape for path, leaf in theirs.items()}
    assert len(stages) == 8 * 6
    assert {path: leaf.shape for path, leaf in ours.items() if "/stage" in path} == stages


@pytest.mark.parametrize("size", [(1, 1), (1, 130), (33, 2)])
def test_every_size_of_an_image_has_scores_of_every_pixel(size):
    images = np.zeros((1, *size, 3), np.float32)
    logits, _ = jax.eval_shape(SegNet(num_classes=2, **THIN).init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, *size, 2)


def test_a_depth_that_is_not_vggs_is_refused():
    with pytest.raises(ValueError, match="SegNet expected a depth of 11, 13, 16, 19 and five widths, got depth 12"):
        jax.eval_shape(SegNet(depth=12).init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
