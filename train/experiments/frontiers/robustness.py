"""Accuracy on adversarial examples against how far they may be from the image. Lecture row L97.

    python -m train experiment robustness                  scikit-learn's digits
    python -m train experiment robustness --scale paper    twice as long, with three seeds

Goodfellow, Shlens and Szegedy, 2015; Madry et al., 2018, section 5 and Figure 6. One network learns from images as
they are, another from those that projected gradient changed by at most `EPSILON`. Both are then attacked with one step
(FGSM) and with twenty (PGD), by changes of each size; noise of the same size, a random sign a pixel, stands beside
them. All claims hold (one seed, 144 s of processor time).
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.config import Recipe
from train.experiments import SeededOptions
from train.experiments.study import Results, Study
from train.experiments.tables import grid
from train.experiments.trained_runs import Classifier, classifier_of
from train.recipes.digits import DIGITS
from train.recipes.frontiers import DIGITS_ADVERSARIAL
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style
from zoo.frontiers import fgsm, pgd

PLAIN, ADVERSARIAL = "plain", "adversarial"
EPSILON = DIGITS_ADVERSARIAL.task.epsilon
EPSILONS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Of the range of pixels."""
NOISE, ONE_STEP, MANY_STEPS = "noise", "FGSM", "PGD"
STEPS = 20
SEEDS = {"quick": 1, "paper": 3}


def recipes_of(options: SeededOptions) -> dict[str, Recipe]:
    """Both ways to learn, for as many epochs."""
    epochs = DIGITS_ADVERSARIAL.epochs * (2 if options.scale == "paper" else 1)
    arms = {PLAIN: DIGITS, ADVERSARIAL: DIGITS_ADVERSARIAL}
    return {
        arm: dataclasses.replace(recipe, name=f"robustness-{options.scale}-{arm}", epochs=epochs, eval_every=epochs)
        for arm, recipe in arms.items()
    }


def study(options: SeededOptions) -> Study:
    """Both arms, attacked, and what is said of them."""
    count = options.count(SEEDS)
    return Study("robustness", recipes_of(options), count, claims, table, figure, options.seed, measure=measure)


def run(options: SeededOptions) -> int:
    """See `Study.run`."""
    return study(options).run(options.workdir)


def name_of(attack: str, epsilon: float) -> str:
    """What an accuracy is called."""
    return f"{attack}_{epsilon:g}"


def measure(path: Path) -> Mapping[str, float]:
    """The accuracy of a run under each attack of each size."""
    classifier, pixels, classes = classifier_of(path)
    attacks = attacks_on(classifier)
    found = {}
    for attack, change in attacks.items():
        right = jax.jit(lambda x, y, e, change=change: classifier(change(x, y, e)).argmax(axis=-1) == y)
        for epsilon in EPSILONS:
            found[name_of(attack, epsilon)] = float(np.mean(right(pixels, classes, epsilon)))
    return found


def attacks_on(classifier: Classifier) -> dict[str, Callable]:
    """Functions of pixels, classes and a size, which give changed pixels."""

    def loss(classes: jax.Array) -> Callable[[jax.Array], jax.Array]:
        return lambda pixels: (
            -jnp.take_along_axis(jax.nn.log_softmax(classifier(pixels)), classes[:, None], axis=-1).squeeze(-1)
        )

    def noise(pixels: jax.Array, classes: jax.Array, epsilon: float) -> jax.Array:
        return jnp.clip(pixels + epsilon * jax.random.rademacher(jax.random.key(0), pixels.shape, pixels.dtype), 0, 1)

    def one_step(pixels: jax.Array, classes: jax.Array, epsilon: float) -> jax.Array:
        return fgsm(loss(classes), pixels, epsilon)

    def many_steps(pixels: jax.Array, classes: jax.Array, epsilon: float) -> jax.Array:
        return pgd(loss(classes), pixels, epsilon, 2.5 * epsilon / STEPS, STEPS, key=jax.random.key(0))

    return {NOISE: noise, ONE_STEP: one_step, MANY_STEPS: many_steps}


def claims(results: Results) -> dict[str, bool]:
    """What is said of adversarial examples, of the means over the seeds; nan is not ahead of anything."""
    at = {arm: {a: results[arm].mean(name_of(a, EPSILON)) for a in (NOISE, ONE_STEP, MANY_STEPS)} for arm in results}
    plain, learned = at[PLAIN], at[ADVERSARIAL]
    clean = {arm: result.mean("accuracy") for arm, result in results.items()}
    return {
        f"noise of {EPSILON} costs the plain network less than five points": clean[PLAIN] - plain[NOISE] < 0.05,
        "the same change along the gradient costs it ten times as much": clean[PLAIN] - plain[MANY_STEPS]
        > 10 * max(clean[PLAIN] - plain[NOISE], 0.005),
        "many steps fool it more often than one": plain[MANY_STEPS] < plain[ONE_STEP],
        "a network that learned from such examples withstands them": learned[MANY_STEPS] > plain[MANY_STEPS] + 0.2,
        "and is not as good on images as they are, or as good": clean[ADVERSARIAL] <= clean[PLAIN] + 0.01,
    }


def table(results: Results) -> str:
    """Accuracy in percent of images as they are and of changed ones, a column a size."""
    rows = {
        f"{arm}, {attack}": [
            result.percent("accuracy"),
            *(result.percent(name_of(attack, epsilon)) for epsilon in EPSILONS),
        ]
        for arm, result in results.items()
        for attack in (NOISE, ONE_STEP, MANY_STEPS)
    }
    return grid("accuracy (%), changed by", ["0", *(f"{epsilon:g}" for epsilon in EPSILONS)], rows)


def figure(results: Results) -> Any:
    """A line a network and an attack."""
    drawing = new_figure(6.5, 3.6, LIGHT)
    panel = drawing.subplots()
    styles = {NOISE: ":", ONE_STEP: "--", MANY_STEPS: "-"}
    for (arm, result), colour in zip(results.items(), COLOURS, strict=False):
        for attack, line in styles.items():
            means = [result.mean("accuracy", 100), *(result.mean(name_of(attack, e), 100) for e in EPSILONS)]
            panel.plot([0, *EPSILONS], means, line, color=colour, lw=1.8, label=f"{arm}, {attack}")
    panel.axvline(EPSILON, color=LIGHT.muted, lw=1.0, ls=(0, (3, 2)))
    panel.set_ylim(0, 102)
    style(panel)
    labels(panel, x="largest change of a pixel, of 1 (dashed: learned with)", y="accuracy (%)")
    legend(drawing, loc="outside upper center", ncols=2)
    return drawing
