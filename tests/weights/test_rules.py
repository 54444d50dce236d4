"""Rules that rename weights, in both directions."""

import numpy as np
import pytest

from zoo.weights.rules import (
    Family,
    Rule,
    batch_norm,
    convolution,
    join,
    linear,
    linear_as_convolution,
    rename,
    to_ours,
    to_theirs,
)

FAMILY = Family(
    join(
        convolution("features.{i}", "stage{i+1}/conv"),
        batch_norm("norm.{i}", "stage{i+1}/norm"),
        (Rule("branch_{which:left|right}.bias", "params/{which:left|right}/bias"),),
        linear("fc", "head"),
        linear("classifier", "head"),
        linear_as_convolution("gate", "gate"),
    )
)


@pytest.mark.parametrize(
    ("name", "source", "target", "expected"),
    [
        ("layer2.10.bn1", "layer{stage}.{block}.bn{n}", "stage{stage}/block{block+1}/norm{n}", "stage2/block11/norm1"),
        ("layer2.x.bn1", "layer{stage}.{block}.bn{n}", "stage{stage}/block{block+1}/norm{n}", None),
        ("layer2.0.bn1.weight", "layer{stage}.{block}.bn{n}", "stage{stage}", None),  # the whole name or nothing
        ("layer2_0", "layer{stage}.{block}", "stage{stage}", None),  # a dot is a dot
        ("stage0", "stage{i+1}", "features.{i}", None),  # there is no features.-1
        ("stage2/block1", "stage{i}/block{n+1}", "block{i}-{n}", "block2-0"),  # that is no count below zero
        ("a-left", "a-{which:left|right}", "{which:left|right}/b", "left/b"),
    ],
)
def test_a_template_renames_whole_names_that_fit(name, source, target, expected):
    assert rename(name, source, target) == expected


def test_to_theirs_is_the_exact_inverse_of_to_ours():
    random = np.random.default_rng(0)
    theirs = {
        "features.0.weight": random.random((4, 3, 5, 7)),
        "norm.0.running_var": random.random(4),
        "branch_left.bias": random.random(2),
        "fc.weight": random.random((10, 4)),
        "gate.weight": random.random((6, 4, 1, 1)),
    }
    ours, origin, problems = to_ours(FAMILY, theirs | {"norm.0.num_batches_tracked": np.zeros(())})
    assert not problems
    assert {path: array.shape for path, array in ours.items()} == {
        "params/stage1/conv/kernel": (5, 7, 3, 4),
        "batch_stats/stage1/norm/var": (4,),
        "params/left/bias": (2,),
        "params/head/kernel": (4, 10),
        "params/gate/kernel": (4, 6),
    }
    assert ours["params/stage1/conv/kernel"][1, 2, 0, 3] == theirs["features.0.weight"][3, 0, 1, 2]
    assert origin["params/head/kernel"] == "fc.weight"
    back, problems = to_theirs(FAMILY, ours)
    assert not problems
    assert back.keys() == theirs.keys()  # the first spelling of a head, fc, not the second
    for name, array in theirs.items():
        np.testing.assert_array_equal(back[name], array)


def test_names_without_a_rule_twice_the_same_and_of_another_rank_are_all_reported():
    arrays = {
        "fc.bias": np.zeros(2),
        "classifier.bias": np.zeros(2),
        "mystery": np.zeros(2),
        "features.0.weight": np.zeros((4, 3)),
        "gate.weight": np.zeros((4, 3, 1, 2)),
    }
    ours, _, problems = to_ours(FAMILY, arrays)
    assert list(ours) == ["params/head/bias"]
    assert problems == [
        "classifier.bias: is params/head/bias, which fc.bias is already",
        "mystery: no rule for it",
        "features.0.weight: expected 4 axes, got shape (4, 3)",
        "gate.weight: expected 2 axes and 2 of length one, got shape (4, 3, 1, 2)",
    ]
    assert to_theirs(FAMILY, {"params/other": np.zeros(1)})[1] == ["params/other: no rule for it"]
