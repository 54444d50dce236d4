"""Adversarial training: each step first changes its images so that the loss is as large as it can be.

Madry et al., 2018, Towards Deep Learning Models Resistant to Adversarial Attacks, section 2; with a share of the loss
for the images as they are Goodfellow, Shlens and Szegedy, 2015, section 6. Lecture row L97.

It wraps another task, whose loss, outputs and page are its own. In training the attack sees the network as the step
does, with the batch's statistics. Augmented images are attacked as they are: pixels stay between 0 and 1.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, PyTree

from train.config import Metric, RecipeError
from train.config.task import settings_of, task_of
from train.config.tasks.adversarial import Adversarial as Settings
from train.data.fields import Facts, Kind, Spec
from train.data.source import Source
from train.tasks.protocol import (
    Apply,
    Aux,
    Batch,
    HostBatch,
    HostPrediction,
    Judge,
    Keys,
    OneForward,
    Page,
    Prediction,
    Ratio,
    Totals,
    fitted,
)
from zoo.frontiers import pgd

ROBUST = "robust_"
"""Before the name of a metric of the changed images."""


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """A task, and how its images are attacked."""

    of: str
    """The task's kind."""
    learned: tuple[tuple, ...]
    """What that learned of the examples: names and values."""
    norm: str
    epsilon: float
    step: float
    steps: int
    eval_steps: int
    share: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: what the other task learns.

        Raises:
          RecipeError: the other task is none of one image an example.
        """
        task = task_of(settings.of).fit(settings_of(settings.of)(), source)
        if not isinstance(task, OneForward) or task.frames != ("image",) or task.whole_batch:
            raise RecipeError(f"task.of: expected a task whose examples are images one by one, got {settings.of!r}")
        values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
        return cls(**values, learned=tuple(fitted(task).items()))

    @functools.cached_property
    def task(self) -> OneForward:
        """The task that is wrapped."""
        return task_of(self.of)(**dict(self.learned)).normalised(self.mean, self.std)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of the changed images first."""
        robust = (each._replace(name=ROBUST + each.name, title=f"{each.title}, attacked") for each in self.task.metrics)
        return *robust, *self.task.metrics

    @property
    def fields(self) -> tuple[str, ...]:
        """See `Task`."""
        return self.task.fields

    @property
    def mixes(self) -> tuple[str, ...]:
        """See `Task`."""
        return self.task.mixes

    @property
    def whole_batch(self) -> bool:
        """See `Task`."""
        return self.task.whole_batch

    @property
    def places(self) -> Mapping[str, Kind]:
        """See `Task`."""
        return self.task.places

    @property
    def frames(self) -> tuple[str, ...]:
        """See `Task`."""
        return self.task.frames

    @property
    def writes(self) -> tuple[str, ...]:
        """See `Task`."""
        return self.task.writes

    @property
    def seen(self) -> int:
        """See `Task`."""
        return self.task.seen

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Self:
        """See `Task`: pixels are attacked where they go from 0 to 1."""
        return dataclasses.replace(self, mean=mean, std=std)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        self.task.check(spec, facts)

    def model_options(self) -> dict[str, Any]:
        """See `Task`."""
        return self.task.model_options()

    def wrap(self, model: nn.Module) -> nn.Module:
        """See `Task`."""
        return self.task.wrap(model)

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """See `Task`."""
        return self.task.inputs(batch)

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """The other task's, of changed images; the network's state is what these leave."""
        changed = self.attacked(apply, params, batch, keys, self.steps)
        ratio, aux = self.task.loss(apply, params, changed, keys)
        totals = {"robust": aux.totals}
        if self.share < 1:
            plain, of_plain = self.task.loss(apply, params, batch, keys)
            total = self.share * ratio.total + (1 - self.share) * plain.total
            ratio, totals = Ratio(total, ratio.weight), {**totals, "plain": of_plain.totals}
        return ratio, Aux(totals, aux.state)

    def evaluate(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Totals:
        """The other task's sums, of images as they are and of changed ones."""
        changed = self.attacked(apply, params, batch, keys, self.eval_steps)
        return {
            "plain": self.task.evaluate(apply, params, batch, keys),
            "robust": self.task.evaluate(apply, params, changed, keys),
        }

    def scores(self, totals: Totals) -> dict[str, float]:
        """The other task's; those of changed images as `robust_accuracy` and so on."""
        robust = {ROBUST + name: value for name, value in self.task.scores(totals["robust"]).items()}
        return {**robust, **(self.task.scores(totals["plain"]) if "plain" in totals else {})}

    def attacked(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys, steps: int) -> Batch:
        """The batch with images that projected gradient changed, from a random point of the ball on."""
        mean, std = (jnp.array(values or (value,)) for values, value in ((self.mean, 0.0), (self.std, 1.0)))
        params = lax.stop_gradient(params)

        def loss(pixels: Array) -> Array:
            given = {**batch, "image": (pixels - mean) / std}
            total = self.task.objective(apply(params, *self.task.inputs(given))[0], given).total
            return jnp.atleast_1d(total)  # a sum over the examples, of which each has its own gradient

        pixels = jnp.clip(batch["image"] * std + mean, 0, 1)
        step = self.step or 2.5 * self.epsilon / steps
        pixels = pgd(loss, pixels, self.epsilon, step, steps, self.norm, key=jax.random.fold_in(keys.task, 0))
        return {**batch, "image": lax.stop_gradient((pixels - mean) / std)}

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """Of images as they are."""
        return self.task.predict(apply, params, batch, keys)

    def judge(self) -> Judge | None:
        """See `Task`."""
        return self.task.judge()

    def page(self) -> Page:
        """See `Task`."""
        return self.task.page()

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """See `Task`."""
        return self.task.remember(batch, predicted)
