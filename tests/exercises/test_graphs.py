"""Exercises on graphs: the chapter's own functions pass, and usual mistakes are told what they are."""

import numpy as np
import pytest

from zoo.exercises.graphs import check_attention, check_graph_convolution
from zoo.geometric import Graph, graph_convolution, segment_softmax


def convolved(A, X, W):
    edges = np.argwhere(A.T > 0).astype(np.int32)
    return graph_convolution(Graph.of(X.astype(np.float32), edges), W.astype(np.float32))


def attended(logits, receivers, nodes):
    return segment_softmax(logits.astype(np.float32), receivers, nodes)


CHECKS = {check_graph_convolution: convolved, check_attention: attended}


def test_right_answers_are_right():
    for check, answer in CHECKS.items():
        assert check(answer), check(answer)


def without_shift(logits, receivers, nodes):
    with np.errstate(over="ignore", invalid="ignore"):
        shares = np.exp(logits)
        return shares / np.bincount(receivers, shares, nodes)[receivers]


@pytest.mark.parametrize(
    ("check", "wrong", "said"),
    [
        (check_graph_convolution, lambda A, X, W: (A + np.eye(len(A))) @ X @ W, "Divide by the degrees"),
        (
            check_graph_convolution,
            lambda A, X, W: (A + np.eye(len(A))) / (A.sum(axis=1) + 1)[:, None] @ X @ W,
            "that is D^-1 (A + I), the mean",
        ),
        (
            check_graph_convolution,
            lambda A, X, W: (A + np.eye(len(A))) / np.outer(A.sum(axis=1) + 1, A.sum(axis=1) + 1) @ X @ W,
            "The square root is missing",
        ),
        (check_attention, lambda logits, receivers, nodes: 1 / np.bincount(receivers)[receivers], "That is the mean"),
        (check_attention, without_shift, "subtract the largest before exp"),
    ],
)
def test_a_usual_mistake_is_told_what_it_is(check, wrong, said):
    verdict = check(wrong)
    assert not verdict
    assert said in verdict.said
