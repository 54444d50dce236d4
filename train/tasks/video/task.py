"""Classes and numbers of videos: each clip is learned alone, and at evaluation the clips of a video are averaged.

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks, section 5 (testing): a video's class is that of the
mean of its clips' probabilities. Lecture rows L49-L54.
"""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from train.config import Metric
from train.config.tasks.video import VideoClassification as ClassSettings
from train.config.tasks.video import VideoRegression as ValueSettings
from train.data.fields import Facts, Spec
from train.data.sampled import READABLE
from train.data.source import Source
from train.tasks.classification.task import Classification, Outputs
from train.tasks.fitting import class_names, targets
from train.tasks.protocol import Apply, Aux, Batch, Keys, OneForward, Page, Prediction, Ratio, Totals
from train.tasks.regression.task import Regression
from train.tasks.scores import distances, ranked
from train.tasks.video.seen import Seeing

CLIP_ACCURACY = Metric("clip_accuracy", "Accuracy of single clips", percent=True)


class _OfClips(OneForward):
    """What both tasks share. A subclass has the fields of `Seeing` among its own, under these names."""

    frames_of_clip: int
    sees: str
    mean_flow: bool
    may_break: bool
    what: str
    """The field that is learned."""

    @property
    def seeing(self) -> Seeing:
        """How the network sees clips."""
        return Seeing(self.frames_of_clip, self.sees, self.mean_flow, self.may_break)

    @property
    def fields(self) -> tuple[str, ...]:
        """See `Task`."""
        return (*self.seeing.fields, self.what)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        super().check(spec, facts)
        self.seeing.clips(spec)

    def inputs(self, batch: Batch, key: Key[Array, ""] | None = None) -> tuple[Any, ...]:
        """See `Seeing`."""
        return self.seeing.inputs(batch, key)

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """See `Task`: a network that sees one frame is given any of the clip."""
        outputs, state = apply(params, *self.inputs(batch, keys.task))
        return self.objective(outputs, batch), Aux(self.totals(outputs, batch), state)

    def _by_clip(self, batch: Batch, clips: int, *names: str) -> dict[str, Array]:
        """Fields of a batch as if every clip were an example."""
        names = (*names, READABLE) if self.may_break else names  # who takes the result for a batch asks for it again
        real = {name: batch[name] for name in names if name in batch} | {"mask": self.seeing.real(batch)}
        return {name: jnp.repeat(value, clips, axis=0) for name, value in real.items()}


@dataclasses.dataclass(frozen=True)
class VideoClassification(_OfClips, Classification):
    """One label a video: int32 `batch["label"]`, and the frames of its clips, one clip after the other."""

    frames_of_clip: int = 1
    sees: str = "clip"
    mean_flow: bool = False
    may_break: bool = False

    what = "label"

    @classmethod
    def fit(cls, settings: ClassSettings, source: Source) -> Self:
        """See `Task`: the names of the classes, and how long a clip is."""
        seeing = Seeing.of(settings, source.spec)
        return cls(
            class_names(settings, source),
            settings.label_smoothing,
            seeing.frames,
            seeing.sees,
            seeing.mean_flow,
            seeing.may_break,
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The accuracy of videos first."""
        first, *others = super().metrics
        return first, CLIP_ACCURACY, *others

    @property
    def mixes(self) -> tuple[str, ...]:
        """See `Task`: the label, and whether there is something to be seen of it."""
        return ("label", READABLE) if self.may_break else ("label",)

    def objective(self, outputs: Outputs, batch: Batch) -> Ratio:
        """Mean cross entropy of the clips; see `Classification`. Of a black one that is mixed in nothing is learned."""
        count, of_partner = len(jax.tree.leaves(outputs)[0]) // len(batch["mask"]), f"{READABLE}_b"
        if of_partner in batch:
            batch = {**batch, "mix": jnp.where(batch[of_partner], batch["mix"], 1.0)}
        return super().objective(outputs, self._by_clip(batch, count, "label", "label_b", "mix", of_partner))

    def totals(self, outputs: Outputs, batch: Batch) -> Totals:
        """Sums of what the mean probabilities of a video's clips come to, and of the right answers of single clips."""
        logits = _main(outputs)
        chances = self._chances(logits, batch)
        losses = optax.softmax_cross_entropy_with_integer_labels(chances, batch["label"])
        of_videos = ranked(chances, losses, {"label": batch["label"], "mask": self.seeing.real(batch)})
        by_clip = self._by_clip(batch, len(logits) // len(batch["mask"]), "label")
        of_clips = ranked(logits, jnp.zeros(len(logits)), by_clip)
        return {**of_videos, "clips": of_clips["count"], "clips_correct": of_clips["correct"]}

    def scores(self, totals: Totals) -> dict[str, float]:
        """See `Classification`, and the accuracy of single clips."""
        share = float(totals["clips_correct"] / totals["clips"]) if totals["clips"] else float("nan")
        return {**super().scores(totals), "clip_accuracy": share}

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """Logarithms of the mean probabilities of each video's clips."""
        outputs, _ = apply(params, *self.inputs(batch))
        return self.decode(self._chances(_main(outputs), batch))

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.video.page import VideoPage

        return VideoPage(self.class_names, self.frames_of_clip)

    def _chances(self, logits: Float[Array, "clips classes"], batch: Batch) -> Float[Array, "batch classes"]:
        """The logarithm of the mean over each video's clips."""
        by_video = jax.nn.log_softmax(logits).reshape(len(batch["mask"]), -1, logits.shape[-1])
        return jax.nn.logsumexp(by_video, axis=1) - jnp.log(by_video.shape[1])


def _main(outputs: Outputs) -> Float[Array, "clips classes"]:
    """Without those of auxiliary heads."""
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs
    return logits.astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class VideoRegression(_OfClips, Regression):
    """One value a video: float32 `batch["target"]`; see `train.tasks.regression`."""

    frames_of_clip: int = 1
    sees: str = "clip"
    mean_flow: bool = False
    may_break: bool = False

    what = "target"

    @classmethod
    def fit(cls, settings: ValueSettings, source: Source) -> Self:
        """See `Task`: mean and deviation of the values, and how long a clip is."""
        seeing = Seeing.of(settings, source.spec)
        known = Regression.of_targets(
            targets(settings, source), source.facts.unit, settings.dims or 1, settings.standardise
        )
        return cls(*dataclasses.astuple(known), seeing.frames, seeing.sees, seeing.mean_flow, seeing.may_break)

    def objective(self, outputs: Float[Array, "clips 1"], batch: Batch) -> Ratio:
        """Mean squared error of the clips, in standard deviations of the target."""
        return super().objective(outputs, self._by_clip(batch, len(outputs) // len(batch["mask"]), "target"))

    def totals(self, outputs: Float[Array, "clips 1"], batch: Batch) -> Totals:
        """Sums of the errors of the means over each video's clips."""
        means = self._means(outputs, batch)
        known = {"target": batch["target"], "mask": self.seeing.real(batch)}
        return distances(self._value(means), self._squared(means, known), known)

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """The mean over each video's clips, in the target's units."""
        return self.decode(self._means(apply(params, *self.inputs(batch))[0], batch))

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.video.page import VideoValuePage

        return VideoValuePage(self.unit, self.frames_of_clip)

    def _means(self, outputs: Float[Array, "clips 1"], batch: Batch) -> Float[Array, "batch 1"]:
        return jnp.mean(outputs.astype(jnp.float32).reshape(len(batch["mask"]), -1, 1), axis=1)
