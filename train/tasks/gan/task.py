"""A generator and a discriminator, both moved by one step: the loss is the sum of theirs, each for its own parameters.

Goodfellow et al., 2014, Generative Adversarial Nets, algorithm 1 with one step of the discriminator, at the same time
as the generator's; Radford, Metz and Chintala, 2016 (DCGAN). Lecture row L97.

Of each loss the other player's parameters are constants, so the gradient of the sum is each player's own. Real and made
images go through the discriminator apart, each normalised by its own statistics, and both move the running ones.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, PyTree

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.gan import Gan as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.fitting import Rows, class_names, one_an_example
from train.tasks.gan.embedding import MOST, evenly, fit_embedding
from train.tasks.gan.judge import NEARNESS, NearnessJudge
from train.tasks.protocol import (
    Apply,
    Aux,
    Batch,
    HostBatch,
    HostPrediction,
    Judge,
    Keys,
    Page,
    Prediction,
    Ratio,
    Totals,
    mean_of,
    need,
    need_classes,
)
from zoo.frontiers.gan import discriminator_loss, minimax_loss, non_saturating_loss

TOLD = Metric("told_apart", "Told apart by the discriminator", percent=True)
OF_DISCRIMINATOR = Metric("discriminator_loss", "Loss of the discriminator", higher_is_better=False)
OF_GENERATOR = Metric("generator_loss", "Loss of the generator", higher_is_better=False)
LOSSES = {"non_saturating": non_saturating_loss, "minimax": minimax_loss}
"""Of the generator."""

STEPS = 8
"""Images from one point of the latents to the next."""
FOLLOWED = 16
"""Points whose images are kept after each evaluation."""


@dataclasses.dataclass(frozen=True)
class Gan:
    """Images as those of the data, of latents that are uniform in [-1, 1].

    The networks see pixels from -1 to 1, whatever normalises them; what is predicted goes from 0 to 1.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (*NEARNESS, TOLD, OF_DISCRIMINATOR, OF_GENERATOR, LOSS)
    fields: ClassVar[tuple[str, ...]] = ("image", "label")
    mixes: ClassVar[tuple[str, ...]] = ()
    whole_batch: ClassVar[bool] = False
    places: ClassVar[Mapping[str, Kind]] = MappingProxyType({})
    frames: ClassVar[tuple[str, ...]] = ("image",)
    writes: ClassVar[tuple[str, ...]] = ()
    seen: ClassVar[int] = FOLLOWED

    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    """Of an image."""
    kernel: Rows
    """Of the features by which images are compared, see `embedding.py`."""
    bias: tuple[float, ...]
    loss_of: str
    latent: int
    neighbours: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the features by which images are compared.

        Raises:
          RecipeError: the examples have no labels, or several each, or images of several sizes.
        """
        names = class_names(settings, source)
        one_an_example(source.spec, "label", Kind.LABEL)
        image = source.spec.get("image")
        if image is None or image.kind != Kind.IMAGE or None in image.shape:
            raise RecipeError(f"{settings.kind} needs images of one size; {source.name} has {describe(source.spec)}")
        found = source.read(evenly(len(source), MOST))
        kernel, bias = fit_embedding(found["image"], found["label"])
        return cls(names, image.shape, kernel, bias, settings.loss, settings.latent, settings.neighbours)

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Self:
        """See `Task`: pixels are what they were before."""
        return dataclasses.replace(self, mean=mean, std=std)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: images of the shape that is made, and the classes that the embedding knows.

        Raises:
          RecipeError: there are others.
        """
        need(spec, *self.fields)
        need_classes(facts, self.class_names)
        if spec["image"].shape != self.shape:
            raise RecipeError(f"expected images of {self.shape}, found {describe(spec)}")

    def model_options(self) -> dict[str, Any]:
        """The shape of an image."""
        return {"shape": self.shape}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is, which has to be two networks.

        Raises:
          RecipeError: it is not.
        """
        if not (hasattr(model, "generate") and hasattr(model, "discriminate")):
            raise RecipeError(
                f"expected a generator and a discriminator, such as dcgan, got a {type(model).__name__} alone"
            )
        return model

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """A point of the latents for each image, and the images from -1 to 1."""
        return self.points(jax.random.key(0), self._places(batch)), self._signed(batch)

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """The two losses added, each a function of its own player's parameters alone; see the head of the file."""
        real = self._signed(batch)
        points = _uniform(keys.task, (len(real), self.latent))
        made, state = apply(params, points, method="generate")
        of_real, state = apply(params, real, method="discriminate", state=state)
        of_made, state = apply(params, lax.stop_gradient(made), method="discriminate", state=state)
        fixed = {**params, "discriminator": lax.stop_gradient(params["discriminator"])}
        of_both, _ = apply(fixed, made, method="discriminate", state=state)
        totals = self._sums(of_real, of_made, of_both, batch)
        return Ratio(totals["discriminator"] + totals["generator"], totals["count"]), Aux(totals, state)

    def evaluate(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Totals:
        """The same losses, by running statistics."""
        made, _ = apply(params, self.points(keys.task, self._places(batch)), method="generate")
        of_real, _ = apply(params, self._signed(batch), method="discriminate")
        of_made, _ = apply(params, made, method="discriminate")
        return self._sums(of_real, of_made, of_made, batch)

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean losses, and the share of images, real and made, that the discriminator takes for what they are."""
        parts = {name: mean_of(totals, name) for name in ("discriminator", "generator", "told")}
        return {
            "told_apart": parts["told"] / 2,
            "discriminator_loss": parts["discriminator"],
            "generator_loss": parts["generator"],
            "loss": parts["discriminator"] + parts["generator"],
        }

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """What is made beside each image, and how real that image seems.

        "path" (batch, STEPS, height, width, channels) goes from the row's own point of the latents to the next row's,
        "sample" is its first image; pixels from 0 to 1. "real" is the discriminator's probability of the image.
        """
        rows = self._places(batch)
        first, last = self.points(keys.task, rows), self.points(keys.task, rows + 1)
        between = first[:, None] + jnp.linspace(0, 1, STEPS)[:, None] * (last - first)[:, None]
        made, _ = apply(params, between.reshape(-1, self.latent), method="generate")
        path = (1 + made.reshape(len(rows), STEPS, *self.shape)) / 2
        of_real, _ = apply(params, self._signed(batch), method="discriminate")
        return {"sample": path[:, 0], "path": path, "real": jax.nn.sigmoid(of_real)}

    def judge(self) -> Judge:
        """How near made images are to the held-out ones."""
        return NearnessJudge(self.kernel, self.bias, self.neighbours)

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.gan.page import GanPage

        return GanPage(NearnessJudge(self.kernel, self.bias, self.neighbours), self.class_names)

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """What is made of the same points each time."""
        return {"sample": predicted["sample"]}

    def points(self, key: Key[Array, ""], rows: Int[Array, " n"]) -> Float[Array, "n latent"]:
        """The point of the latents of each row, the same whatever batch it is in."""
        return jax.vmap(lambda row: _uniform(jax.random.fold_in(key, row), (self.latent,)))(rows)

    def _places(self, batch: Batch) -> Int[Array, " n"]:
        """The rows of the examples; of images of nobody's data their places."""
        return batch.get("index", jnp.arange(len(batch["image"])))

    def _signed(self, batch: Batch) -> Float[Array, "n height width channels"]:
        """Pixels from -1 to 1."""
        mean, std = (jnp.array(values or (value,)) for values, value in ((self.mean, 0.0), (self.std, 1.0)))
        return 2 * (batch["image"] * std + mean) - 1

    def _sums(self, of_real: Array, of_made: Array, of_both: Array, batch: Batch) -> Totals:
        mask = batch["mask"]
        right = (of_real > 0).astype(jnp.float32) + (of_made < 0).astype(jnp.float32)
        return {
            "count": jnp.sum(mask, dtype=jnp.float32),
            "discriminator": jnp.sum(sum(discriminator_loss(of_real, of_made)), where=mask),
            "generator": jnp.sum(LOSSES[self.loss_of](of_both), where=mask),
            "told": jnp.sum(right, where=mask),
        }


def _uniform(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
