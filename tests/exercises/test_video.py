"""Exercises on video: right answers written here pass, and usual mistakes are told what they are."""

import numpy as np
import pytest
from scipy.special import softmax

from train.data.flow_bytes import of_bytes, to_bytes
from zoo.exercises.video import check_flow_stack, check_fused, check_inflated
from zoo.video import mean_of_probabilities
from zoo.video.inflate import in_time


def flow_stack(flows):
    stack = np.moveaxis(np.clip(flows, -20, 20), 0, 2) / 20
    return stack.reshape(*stack.shape[:2], -1)


def fused(logits):
    return softmax(mean_of_probabilities(np.float32(logits)))


CHECKS = {check_flow_stack: flow_stack, check_inflated: in_time, check_fused: fused}


def test_right_answers_are_right():
    for check, answer in CHECKS.items():
        assert check(answer), check(answer)
    flows = np.random.default_rng(2).uniform(-30, 30, (2, 3, 3, 2))
    np.testing.assert_allclose(flow_stack(flows), flow_stack(of_bytes(to_bytes(flows))), atol=0.005)


@pytest.mark.parametrize(
    ("check", "wrong", "said"),
    [
        (check_flow_stack, lambda flows: np.concatenate([*flows], axis=-1) / 20, "Cut it off at 20 pixels"),
        (check_flow_stack, lambda flows: 20 * flow_stack(flows), "divide by 20"),
        (check_flow_stack, lambda flows: np.concatenate([flow_stack(flows)[..., i::2] for i in (0, 1)], -1), "all x"),
        (check_flow_stack, lambda flows: (np.clip(flows, -20, 20) / 20).reshape(2, 4, -1), "reshape alone"),
        (check_inflated, lambda kernel, times: np.stack([kernel] * times), "Divide by the number of frames"),
        (check_inflated, lambda kernel, times: times * np.stack([kernel] * times), "the sum over time"),
        (check_inflated, lambda kernel, times: np.stack([kernel / times] * times, axis=-1), "Time is the first axis"),
        (check_inflated, lambda kernel, times: np.eye(1, times, times // 2)[0][:, *[None] * 4] * kernel, "all frames"),
        (check_fused, lambda logits: logits.mean(0), "Softmax makes probabilities"),
        (check_fused, lambda logits: softmax(logits.mean(0)), "First the probabilities of each"),
        (check_fused, lambda logits: softmax(logits, -1).sum(0), "The mean, not the sum"),
        (check_fused, lambda logits: softmax(logits, 0).mean(0), "over its classes"),
    ],
)
def test_a_usual_mistake_is_told_what_it_is(check, wrong, said):
    verdict = check(wrong)
    assert not verdict
    assert said in verdict.said
