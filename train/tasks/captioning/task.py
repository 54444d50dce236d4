"""Captioning: the next word of a sentence about an image, by cross entropy; whole sentences by search, judged by BLEU.

Vinyals et al., 2015, Show and Tell: A Neural Image Caption Generator. The model is any that `begin`s with images and
takes a `step` a word, as `zoo.sequences.Captioner` does. Lecture row L77.
"""

import dataclasses
import math
from typing import Any, ClassVar, Self

import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.captioning import Captioning as Settings
from train.data.captions import END, PADDING, SPECIAL, START, UNKNOWN
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source
from train.tasks.captioning.judge import BLEU, BleuJudge
from train.tasks.protocol import Apply, Batch, Judge, Keys, OneForward, Page, Prediction, Ratio, Totals
from zoo.sequences.search import beam_search

PERPLEXITY = Metric("perplexity", "Perplexity", higher_is_better=False)
TOKEN_ACCURACY = Metric("token_accuracy", "Next word right", percent=True)
METRICS = (*BLEU[::-1], PERPLEXITY, TOKEN_ACCURACY, LOSS)

NEVER_SAID = (PADDING, START, UNKNOWN)
"""Tokens that no search chooses: those that are no words."""


@dataclasses.dataclass(frozen=True)
class Captioning(OneForward):
    """Several captions an image: int32 `batch["captions"]`, (batch, captions, length), see `train.data.captions`.

    Each word of each caption counts alike, and its end too; what pads captions, and their number, counts nowhere.
    """

    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    fields: ClassVar[tuple[str, ...]] = ("image", "captions")

    vocabulary: tuple[str, ...]
    """The word of each token, of the training captions."""
    beams: int = 3
    length_power: float = 0.0
    words: int = 20

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the vocabulary.

        Raises:
          RecipeError: the examples have no captions.
        """
        if "captions" not in source.spec or not source.facts.vocabulary:
            raise RecipeError(f"{settings.kind} needs examples with captions; {source.name} has none")
        return cls(source.facts.vocabulary, **dataclasses.asdict(settings))

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: an image and captions of the words that are known.

        Raises:
          RecipeError: there is something else.
          DataError: what judges captions is not installed.
        """
        super().check(spec, facts)
        image, captions = spec["image"], spec["captions"]
        if image.kind != Kind.IMAGE or captions.kind != Kind.TOKENS:
            raise RecipeError(f"expected an image and tokens, found {image.kind} and {captions.kind}")
        if len(captions.padded) != 2 or not captions.most or (captions.shape[1] or 0) < 2:
            raise RecipeError(f"expected up to a number of captions of one length, found {describe(spec)}")
        if facts.vocabulary[: len(SPECIAL)] != SPECIAL:
            begins = ", ".join(facts.vocabulary[: len(SPECIAL)])
            raise RecipeError(f"expected a vocabulary that begins with {', '.join(SPECIAL)}, got {begins}")
        if facts.vocabulary != self.vocabulary:
            raise RecipeError(
                f"expected captions of the {len(self.vocabulary)} words that the training captions have,"
                f" got another vocabulary of {len(facts.vocabulary)}"
            )
        self.judge()  # before hours of training

    def model_options(self) -> dict[str, Any]:
        """A logit a word."""
        return {"num_classes": len(self.vocabulary)}

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is, which has to give words.

        Raises:
          RecipeError: it does not.
        """
        if not (hasattr(model, "begin") and hasattr(model, "step")):
            raise RecipeError(f"expected a captioner, such as captioner_resnet50, got {type(model).__name__}")
        return model

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images, and of each caption all tokens but the last: teacher forcing, the true words are given."""
        return batch["image"], batch["captions"][..., :-1]

    def objective(self, outputs: Float[Array, "batch captions time words"], batch: Batch) -> Ratio:
        """The cross entropy of every real token, over how many there are."""
        return Ratio(self._cross_entropy(outputs, batch), jnp.sum(_counted(batch), dtype=jnp.float32))

    def totals(self, outputs: Float[Array, "batch captions time words"], batch: Batch) -> Totals:
        """Sums over the real tokens: the cross entropy, and how often the true word is the most probable."""
        right = jnp.argmax(outputs, axis=-1) == batch["captions"][..., 1:]
        counted = _counted(batch)
        return {
            "tokens": jnp.sum(counted, dtype=jnp.float32),
            "loss": self._cross_entropy(outputs, batch),
            "right": jnp.sum(right & counted, dtype=jnp.float32),
        }

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean cross entropy of a token, e to the power of it, and the share of right ones; the judge knows BLEU."""
        tokens = float(totals["tokens"])
        if not tokens:
            return dict.fromkeys(("loss", "perplexity", "token_accuracy"), math.nan)
        loss = float(totals["loss"]) / tokens
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {"loss": loss, "perplexity": perplexity, "token_accuracy": float(totals["right"]) / tokens}

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """The best caption that the search finds: "caption", its tokens (batch, words), with END from its end on.

        "score" is the logarithm of its probability, over length ** length_power. Words alone are said, and known ones;
        one that does not end is cut off.
        """
        state, _ = apply(params, batch["image"], method="begin")

        def step(state: Any, tokens: Int[Array, " n"]) -> tuple[Any, Float[Array, "n words"]]:
            (state, logits), _ = apply(params, state, tokens, method="step")
            return state, logits.astype(jnp.float32).at[:, jnp.array(NEVER_SAID)].set(-jnp.inf)

        first = jnp.full(batch["image"].shape[0], START)
        options = {"steps": self.words, "end": END, "beams": self.beams, "length_power": self.length_power}
        found = beam_search(step, state, first, **options)
        return {"caption": found.tokens[:, 0], "score": found.scores[:, 0]}

    def decode(self, outputs: Float[Array, "batch captions time words"]) -> Prediction:
        """The most probable next word after each true one; `predict` does not ask for it."""
        return {"next": jnp.argmax(outputs, axis=-1)}

    def judge(self) -> Judge:
        """BLEU.

        Raises:
          DataError: sacrebleu is not installed.
        """
        return BleuJudge(self.vocabulary)

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.captioning.page import CaptionPage

        return CaptionPage(self.vocabulary)

    def _cross_entropy(self, outputs: Array, batch: Batch) -> Float[Array, ""]:
        losses = optax.softmax_cross_entropy_with_integer_labels(
            outputs.astype(jnp.float32), batch["captions"][..., 1:]
        )
        return jnp.sum(losses, where=_counted(batch))


def _counted(batch: Batch) -> Bool[Array, "batch captions time"]:
    """Which tokens are learned: those of real captions of real examples, from the first word to the end."""
    real = batch["captions_valid"] & batch["mask"][:, None]
    return real[..., None] & (batch["captions"][..., 1:] != PADDING)
