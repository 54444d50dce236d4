"""Checks of the exercises on video: flow as channels, a kernel spread over time, two streams as one. L49-L51."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from zoo.exercises.mistakes import compare
from zoo.exercises.verdict import Verdict, judged

LONGEST = 20.0
"""Pixels that are 1."""


def check_flow_stack(function: Callable) -> Verdict:
    """Checks `flow_stack(flows)`: (L, h, w, 2) in pixels to (h, w, 2L), x and y of each field in turn, in [-1, 1].

    >>> check_flow_stack(lambda flows: flows)
    Not yet: flow_stack of 3 fields: expected shape (2, 4, 6), got (3, 2, 4, 2)
    """
    return judged(lambda: _flow_stack(function))


def _flow_stack(function: Callable) -> str:
    draw, counts = np.random.default_rng(0), (3, 5)
    for count in counts:
        flows = draw.uniform(-40, 40, (count, 2, 4, 2)).round(1)
        share = np.clip(flows, -LONGEST, LONGEST) / LONGEST
        compare(
            f"flow_stack of {count} fields",
            function(flows),
            _in_turn(share),
            ("Cut it off at 20 pixels first", _in_turn(flows / LONGEST)),
            ("20 pixels are 1: divide by 20", _in_turn(share * LONGEST)),
            ("x and y of a field stand next to each other, not all x first", _all_x_first(share)),
            ("Move the axis of the fields behind those of the places; reshape alone mixes them up", _reshaped(share)),
        )
    return f"{' and '.join(map(str, counts))} fields"


def _in_turn(flows: Float[np.ndarray, "fields h w 2"]) -> Float[np.ndarray, "h w channels"]:
    return np.concatenate(list(flows), axis=-1)


def _all_x_first(flows: Float[np.ndarray, "fields h w 2"]) -> Float[np.ndarray, "h w channels"]:
    """By a usual mistake."""
    return np.stack([*flows[..., 0], *flows[..., 1]], axis=-1)


def _reshaped(flows: Float[np.ndarray, "fields h w 2"]) -> Float[np.ndarray, "h w channels"]:
    """By another."""
    return flows.reshape(*flows.shape[1:3], -1)


def check_inflated(function: Callable) -> Verdict:
    """Checks `inflated(kernel, times)`: a kernel of images (h, w, c, f) for clips, (times, h, w, c, f).

    >>> check_inflated(lambda kernel, times: np.stack([kernel] * times))
    Not yet: inflated(kernel, 3) at (0, 0, 0, 0, 0): expected 0.0433333, got 0.13. Divide by the number of frames
    """
    return judged(lambda: _inflated(function))


def _inflated(function: Callable) -> str:
    draw, cases = np.random.default_rng(0), (3, 7)
    for times in cases:
        kernel = draw.normal(size=(3, 3, 2, 4)).round(2)
        repeated = np.stack([kernel] * times)
        compare(
            f"inflated(kernel, {times})",
            function(kernel, times),
            repeated / times,
            ("Divide by the number of frames", repeated),
            ("It is the sum over time that has to be the kernel, not the mean", repeated * times),
            ("Time is the first axis", np.stack([kernel] * times, axis=-1) / times),
            ("The frame in the middle alone would be right too; here all frames share", _central(kernel, times)),
        )
    return f"{' and '.join(map(str, cases))} frames"


def _central(kernel: Float[np.ndarray, "h w c f"], times: int) -> Float[np.ndarray, "times h w c f"]:
    """What sees the frame in the middle only."""
    found = np.zeros((times, *kernel.shape))
    found[times // 2] = kernel
    return found


def check_fused(function: Callable) -> Verdict:
    """Checks `fused(logits)`: of several answers (answers, classes) the mean of their probabilities, (classes,).

    >>> check_fused(lambda logits: logits.mean(axis=0))
    Not yet: fused of 2 answers at (0,): expected 0.0582669, got -1.9. Softmax makes probabilities of logits
    """
    return judged(lambda: _fused(function))


def _fused(function: Callable) -> str:
    draw, counts = np.random.default_rng(1), (2, 5)
    for count in counts:
        logits = (4 * draw.normal(size=(count, 3))).round(1)
        shares = _softmax(logits)
        compare(
            f"fused of {count} answers",
            function(logits),
            shares.mean(axis=0),
            ("Softmax makes probabilities of logits", logits.mean(axis=0)),
            ("First the probabilities of each answer, then their mean", _softmax(logits.mean(axis=0))),
            ("The mean, not the sum: probabilities come to 1", shares.sum(axis=0)),
            ("The softmax of an answer is over its classes", _softmax(logits.T).T.mean(axis=0)),
        )
    return f"{' and '.join(map(str, counts))} answers"


def _softmax(logits: Float[np.ndarray, "*answers classes"]) -> Float[np.ndarray, "*answers classes"]:
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)
