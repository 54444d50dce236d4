"""C3D: the paper's parameters, sizes, and what is refused. `test_parity.py` has its numbers."""

import jax
import jax.numpy as jnp
import pytest

import zoo
from tests.convnets.families import outputs, parameters
from zoo.video import C3D


def test_it_has_the_parameters_of_the_paper_at_101_classes():
    assert parameters("c3d") == 78_409_573


def test_the_first_pooling_leaves_time_as_it_is():
    found = outputs(zoo.create("c3d"), (16, 112, 112, 3), features=True)
    assert {name: leaf.shape[1:] for name, leaf in found.items()} == {
        "stage1": (16, 112, 112, 64),
        "stage2": (16, 56, 56, 128),
        "stage3": (8, 28, 28, 256),
        "stage4": (4, 14, 14, 512),
        "stage5": (2, 7, 7, 512),
        "pre_logits": (4096,),
        "logits": (101,),
    }


def test_clips_of_another_size_and_wrong_widths_are_refused():
    model = zoo.create("c3d_tiny")
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 32, 32, 3)))
    with pytest.raises(ValueError, match="C3D has parameters for 1 places behind the last pooling, got 1 x 2 x 2"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 8, 64, 64, 3)))
    with pytest.raises(ValueError, match=r"C3D expected five widths, got \(8, 8\)"):
        jax.eval_shape(C3D(widths=(8, 8)).init, jax.random.key(0), jnp.zeros((1, 8, 32, 32, 3)))
