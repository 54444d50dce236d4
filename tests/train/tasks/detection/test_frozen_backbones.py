"""Which parameters of a backbone that was trained before stay as they are in torchvision, and patterns for the same.

`tests/detection/goldens/write_moving.py` wrote the golden file; the patterns are those of the chapter's README.
"""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
import zoo.detection
from train.engine.transfer import check_patterns, is_frozen
from zoo.weights import single_stage
from zoo.weights.detection import two_stage
from zoo.weights.rules import to_theirs

GOLDEN = Path(__file__).parents[3] / "detection" / "goldens" / "moving.npz"
README = Path(zoo.detection.__file__).with_name("README.md")
ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| `freeze=\((.+)\)` \|$", re.MULTILINE)
PATTERNS = {
    name: tuple(re.findall(r'"([^"]+)"', patterns))
    for names, patterns in ROW.findall(README.read_text(encoding="utf-8"))
    for name in re.findall(r"\w+", names)
}


def test_the_readme_has_patterns_for_each_detector_that_was_looked_at():
    assert set(np.load(GOLDEN)) == set(PATTERNS)


@pytest.mark.parametrize("name", np.load(GOLDEN))
def test_the_documented_patterns_leave_moving_what_torchvision_moves(name):
    model, patterns = zoo.create(name), PATTERNS[name]
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"]
    check_patterns(params, patterns)
    flat = flatten_dict({"params": params}, sep="/")
    moving = [path for path in flat if not is_frozen(path.removeprefix("params/"), patterns)]
    hollow = {path: np.broadcast_to(np.float32(0), flat[path].shape) for path in moving}
    family = single_stage.retinanet if name.startswith("retinanet") else two_stage
    found, problems = to_theirs(family(model), hollow)
    assert not problems
    assert set(found) == set(bytes(np.load(GOLDEN)[name]).decode().split())
    assert len(moving) < len(flat)
