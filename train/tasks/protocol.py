"""What the engine asks of a task. It knows no task by name: a new one is a folder and a row of `train.config.task`.

Read `Task` first; most tasks are an `OneForward`. `Judge` and `Page` see predictions on the host, batch by batch.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from train.config import LOSS, Metric, RecipeError
from train.config import Task as Settings
from train.data.fields import Facts, Kind, Spec, describe
from train.data.source import Source

__all__ = [
    "LOSS",
    "Apply",
    "Aux",
    "Batch",
    "Judge",
    "Keys",
    "Metric",
    "OneForward",
    "Page",
    "Prediction",
    "Ratio",
    "Task",
]

Batch = Mapping[str, Array]
"""The fields of some examples, with "index" (their rows) and "mask" (whether they are real or fill the batch up)."""
Totals = PyTree[Array]
"""Sums over the real examples of a batch, of any shapes: they add up over batches, devices and processes."""
Prediction = dict[str, Float[Array, "batch ..."]]
"""What a person reads, by name, in a person's units."""
HostBatch = Mapping[str, np.ndarray]
HostPrediction = Mapping[str, np.ndarray]


class Ratio(NamedTuple):
    """A loss as two sums, so that it is exact for padded tokens, ignored pixels, positives, whoever sums them up.

    A loss of several terms, each with a weight of its own, has an entry a term in both: it is the sum of their
    quotients. A detector's are such, of which one counts sampled anchors and another positive ones.
    """

    total: Float[Array, "*terms"]
    weight: Float[Array, "*terms"]
    """Does not depend on the parameters; where it is zero, the total stands as it is: often zero too."""

    def value(self) -> Float[Array, ""]:
        """The total over the weight, of several terms summed.

        >>> float(Ratio(jnp.array([6.0, 5.0, 0.0]), jnp.array([3.0, 2.0, 0.0])).value())
        4.5
        """
        quotients = self.total / jnp.where(self.weight > 0, self.weight, 1)
        return quotients if quotients.ndim == 0 else jnp.sum(quotients)

    def mean(self) -> float:
        """The same of sums on the host, such as those of many steps; of no weight at all it is nan.

        >>> Ratio(np.array([6.0, 0.0]), np.array([4.0, 0.0])).mean(), Ratio(np.float64(0), np.float64(0)).mean()
        (1.5, nan)
        """
        total, weight = np.asarray(self.total, np.float64), np.asarray(self.weight, np.float64)
        has = weight != 0
        return float(np.sum(total[has] / weight[has])) if has.any() else math.nan


class Aux(NamedTuple):
    """What a training step learns beside the loss."""

    totals: Totals
    """As `Task.totals`, for the log."""
    state: dict[str, PyTree[Array]]
    """The model's other collections, such as batch statistics, after the step."""


class Keys(NamedTuple):
    """The random keys of a step."""

    dropout: Key[Array, ""]
    task: Key[Array, ""]
    """For what the task draws itself, such as which proposals to learn from."""


class Apply(Protocol):
    """The model, ready to be called: in training with dropout, batch statistics and frozen layers as it has to be."""

    def __call__(
        self,
        params: PyTree[Array],
        *inputs: Any,
        state: dict[str, PyTree[Array]] | None = None,
        key: Key[Array, ""] | None = None,
        **options: Any,
    ) -> tuple[PyTree[Array], dict[str, PyTree[Array]]]:
        """Outputs, and the other collections afterwards.

        Args:
          params: of the model.
          *inputs: its positional arguments.
          state: the other collections; by default those from before the step.
          key: for dropout; by default that of the step.
          **options: of the model's call, such as method="encode".
        """


class Task(Protocol):
    """A task: pure functions, and what a person reads of their results. A frozen dataclass of plain values."""

    metrics: tuple[Metric, ...]
    """What `scores` gives. The first ranks checkpoints and heads the report."""
    fields: tuple[str, ...]
    """The fields of an example that it reads."""
    mixes: tuple[str, ...]
    """Those of them that mixup and cutmix may mix: the loss reads NAME_b and "mix" beside them."""
    whole_batch: bool
    """Whether the loss compares the examples of a batch with each other, which `pmap` would keep apart."""
    places: Mapping[str, Kind]
    """Which predictions are places in the image, and of what kind: `predict` gives them in the file's own pixels, and
    "size", the height and width of the image that these are of."""
    frames: tuple[str, ...]
    """The fields of `inputs` that are pictures: ("image",), or those of several that follow each other, such as the
    two images of a flow. `predict` gives these as many files, or frames of a video, one after the other."""
    writes: tuple[str, ...]
    """Suffixes of the files that `predict` writes of each image beside its picture: `Page.files` makes them."""
    seen: int
    """How many held-out examples are followed over the run, see `remember`; often none."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """The task of a recipe for the training examples: class names, means, prototypes, vocabulary.

        What it learns here are its dataclass's fields. They are written into the run's card, and a run that is there
        is given back its task from them, without the examples.

        Raises:
          RecipeError: the source does not have what the task learns from.
        """

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Self:
        """The task where images are normalised by these before it sees them; most need not know, and are the same.

        Args:
          mean: a value, or one a channel, that was subtracted from pixels of 0 to 1; none is 0.
          std: what they were divided by; none is 1.
        """

    def check(self, spec: Spec, facts: Facts) -> None:
        """Refuses examples that are not of the kind that it was fitted to.

        Raises:
          RecipeError: a field is missing, of another kind, or means something else.
        """

    def model_options(self) -> dict[str, Any]:
        """What it asks of the model, such as {"num_classes": 10}."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with the layers that the task itself has on top; often the model as it is."""

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The model's positional arguments."""

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """What is minimised. It may call the model several times, draw from its key, add terms.

        Terms whose weights are different things are entries of the ratio: one quotient would mix their weights.
        """

    def evaluate(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Totals:
        """Sums over the batch's real examples (its "mask")."""

    def scores(self, totals: Totals) -> dict[str, float]:
        """The numbers of `metrics` from sums over any number of batches; sums are numpy arrays of float64."""

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """What a person reads of each example; a compiled program of its own, which may decode, loop, suppress.

        A batch of images that nobody labelled has the fields of `inputs` alone.
        """

    def judge(self) -> "Judge | None":
        """Numbers that are no sums, such as average precision; of most tasks none."""

    def page(self) -> "Page":
        """How the report shows the task, and how a prediction is drawn and said."""

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """What is kept of the first `seen` held-out examples after each evaluation, for the page: (examples, ...)."""


class Judge(Protocol):
    """Numbers of an evaluation that are no sums. It can be pickled.

    It may keep a few numbers of each prediction, such as its score, and so grow with them, but no image or map.
    """

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """Takes in the real examples of a batch."""

    def merge(self, other: "Judge") -> None:
        """Takes in what another process's judge saw."""

    def scores(self) -> dict[str, float]:
        """Further numbers of `Task.metrics`."""


class Page(Protocol):
    """The task's part of the report. Streaming: it keeps counts and a few examples, never a split; can be pickled."""

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """Takes in the real examples of a batch."""

    def merge(self, other: "Page") -> None:
        """Takes in what another process's page saw, which comes after what this one saw."""

    def results(self, run: Any) -> Any:
        """What stands on the page: `train.report.Results`, of a `train.report.Run`."""

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """A prediction of one example as json, without a leading axis."""

    def words(self, predicted: HostPrediction) -> str:
        """The same in a line."""

    def picture(self, example: Mapping[str, np.ndarray], predicted: HostPrediction) -> np.ndarray:
        """The example with what is predicted of it, drawn: uint8 (height, width, 3).

        Of images of one size all have one size, whatever is predicted: they make a video.
        """

    def files(self, predicted: HostPrediction) -> Mapping[str, bytes]:
        """The prediction as further files, by suffix: those of `Task.writes`. Not asked for where there are none."""


class OneForward(abc.ABC):
    """What most tasks are: one call of the model, whose outputs are compared with the batch."""

    metrics: ClassVar[tuple[Metric, ...]]
    fields: ClassVar[tuple[str, ...]]
    mixes: ClassVar[tuple[str, ...]] = ()
    whole_batch: ClassVar[bool] = False
    places: ClassVar[Mapping[str, Kind]] = MappingProxyType({})
    frames: ClassVar[tuple[str, ...]] = ("image",)
    writes: ClassVar[tuple[str, ...]] = ()
    seen: ClassVar[int] = 0

    @abc.abstractmethod
    def objective(self, outputs: PyTree[Array], batch: Batch) -> Ratio:
        """The loss of the model's outputs."""

    @abc.abstractmethod
    def totals(self, outputs: PyTree[Array], batch: Batch) -> Totals:
        """Sums over the batch's real examples."""

    @abc.abstractmethod
    def decode(self, outputs: PyTree[Array]) -> Prediction:
        """The outputs in the units a person reads."""

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> Self:
        """See `Task`: the same."""
        return self

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`: every field that it reads has to be there, and classes have to be those that it knows.

        Raises:
          RecipeError: a field is missing, or the classes are others.
        """
        need(spec, *self.fields)
        known = getattr(self, "class_names", None)
        if known is not None:
            need_classes(facts, known)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is."""
        return model

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """The images."""
        return (batch["image"],)

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """See `Task`."""
        outputs, state = apply(params, *self.inputs(batch))
        return self.objective(outputs, batch), Aux(self.totals(outputs, batch), state)

    def evaluate(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Totals:
        """See `Task`."""
        return self.totals(apply(params, *self.inputs(batch))[0], batch)

    def predict(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> Prediction:
        """See `Task`."""
        return self.decode(apply(params, *self.inputs(batch))[0])

    def judge(self) -> Judge | None:
        """See `Task`: there is none."""
        return None

    def remember(self, batch: HostBatch, predicted: HostPrediction) -> Mapping[str, np.ndarray]:
        """See `Task`: nothing is kept."""
        return {}


def need(spec: Spec, *names: str) -> None:
    """Refuses examples that lack a field.

    Raises:
      RecipeError: names what is missing, and what is there.
    """
    if missing := [name for name in names if name not in spec]:
        raise RecipeError(f"expected examples with {', '.join(missing)}, found {describe(spec)}")


def need_classes(facts: Facts, known: Sequence[str]) -> None:
    """Refuses examples of other classes than those that a task knows.

    Raises:
      RecipeError: names both.
    """
    if facts.classes != tuple(known):
        raise RecipeError(f"expected examples of the classes {_some(tuple(known))}, got {_some(facts.classes)}")


def fitted(task: Any) -> dict[str, Any]:
    """What a task learned before training, as plain values for the run's card."""
    return dataclasses.asdict(task)


def mean_of(totals: Mapping[str, Any], name: str) -> float:
    """A sum over the number of examples; of no examples (every update was skipped, say) it is nan.

    >>> mean_of({"count": 4.0, "loss": 2.0}, "loss")
    0.5
    """
    return float(totals[name] / totals["count"]) if totals["count"] else math.nan


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f", ... ({len(names)})" if len(names) > 3 else "") if names else "none"
