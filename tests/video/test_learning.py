"""Each network learns one batch by heart."""

import pytest

import zoo
from tests.convnets.families import SMALL
from tests.video.clips import losses

NAMES = [name for name in zoo.list_models(task="video_classification") if SMALL.fullmatch(name)]
QUICK = ("c3d_tiny",)
RATES = {"c3d_tiny": 0.003}
"""Of Adam, where a network without normalisation wants smaller steps."""
STEPS = {"c3d_tiny": 30}
"""Where fewer than 80 will do."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NAMES]
)  # a program a network
def test_one_batch_is_learned(name):
    first, *_, last = losses(name, steps=STEPS.get(name, 80), rate=RATES.get(name, 0.01))
    assert last < 0.1 < 1 < first
