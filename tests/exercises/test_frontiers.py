"""Exercises on frontiers: the chapter's own functions pass, and usual mistakes are told what they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from zoo import frontiers
from zoo.exercises.frontiers import check_fgsm, check_penalty, check_players, check_same_answer


def fgsm(loss, image, epsilon):
    return frontiers.fgsm(lambda images: jax.vmap(loss)(images), image[None], epsilon)[0]


def players(real, made):
    of_discriminator = sum(map(jnp.mean, frontiers.discriminator_loss(real, made)))
    return of_discriminator, jnp.mean(frontiers.non_saturating_loss(made))


def same_answer(before, after):
    return frontiers.effect(jnp.array(before), jnp.array(after), jnp.zeros(len(before), int)).same_answer


CHECKS = {
    check_fgsm: fgsm,
    check_players: players,
    check_penalty: frontiers.quadratic_penalty,
    check_same_answer: same_answer,
}


def test_right_answers_are_right():
    for check, answer in CHECKS.items():
        assert check(answer), check(answer)


def naive(logits):
    return -np.log(expit(logits) + 1e-30).mean()


def with_parts(change):
    return lambda real, made: change(*players(real, made))


@pytest.mark.parametrize(
    ("check", "wrong", "said"),
    [
        (check_fgsm, lambda loss, x, e: x + e * jnp.sign(jax.grad(loss)(x)), "left the range"),
        (check_fgsm, lambda loss, x, e: jnp.clip(x - e * jnp.sign(jax.grad(loss)(x)), 0, 1), "goes uphill"),
        (check_fgsm, lambda loss, x, e: jnp.clip(x + e * jax.grad(loss)(x), 0, 1), "takes its sign"),
        (check_fgsm, lambda loss, x, e: e * jnp.sign(jax.grad(loss)(x)), "add the image"),
        (check_fgsm, lambda loss, x, e: x + loss, "TypeError"),
        (check_players, with_parts(lambda d, g: d), "expected (of one, of the other)"),
        (check_players, with_parts(lambda d, g: (d / 2, g)), "the paper adds them"),
        (check_players, with_parts(lambda d, g: (d, -g)), "a loss is made small"),
        (check_players, lambda r, m: (players(r, m)[0], jnp.mean(frontiers.minimax_loss(m))), "saturates"),
        (check_players, lambda r, m: (players(r, m)[0], naive(m)), "log D is no number"),
        (check_players, lambda r, m: (naive(r) + naive(-m), players(r, m)[1]), "discriminator's loss of logits of"),
        (check_penalty, lambda w, b, i: np.sum(i * (w - b) ** 2), "second derivative"),
        (check_penalty, lambda w, b, i: np.mean(i * (w - b) ** 2) / 2, "not the mean"),
        (check_penalty, lambda w, b, i: np.sum(i * np.abs(w - b)) / 2, "is squared"),
        (check_penalty, lambda w, b, i: np.sum(i * w**2) / 2, "not from zero"),
        (check_same_answer, lambda b, a: np.sum(b.argmax(1) == a.argmax(1)), "is their mean"),
        (check_same_answer, lambda b, a: np.mean(b.argmax(1) != a.argmax(1)), "that change"),
        (check_same_answer, lambda b, a: np.mean(b.argmax(0) == a.argmax(0)), "not over the images"),
        (check_same_answer, lambda b, a: 0.6, "doubled and moved"),
    ],
)
def test_mistakes_are_told_what_they_are(check, wrong, said):
    verdict = check(wrong)
    assert not verdict
    assert said in verdict.said
