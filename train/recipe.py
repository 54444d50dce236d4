"""The recipe: everything that decides a run, as one frozen dataclass of plain values.

Two runs of one recipe, with the same versions on the same platform, give bit-identical parameters.
"""

import ast
import dataclasses
import math
import types
import typing
from typing import Any, Literal

from train.data.augment import Augment
from train.data.framing import Framing
from train.data.loading import Part
from train.objective import Space, Task, unused_fields
from zoo.names import unknown

__all__ = [
    "Augment",
    "Data",
    "Model",
    "Optimizer",
    "Recipe",
    "RecipeError",
    "Schedule",
    "Space",
    "Task",
    "differences",
    "flat_names",
    "flatten",
    "from_dict",
    "model_options",
    "to_dict",
]


class RecipeError(ValueError):
    """A recipe asks for something impossible; the message says what."""


@dataclasses.dataclass(frozen=True)
class Model:
    """Which network."""

    name: str = "cifar_resnet20"
    """A name of `python -m zoo list`."""
    options: tuple[str, ...] = ()
    """Fields of the model to set, each as name=value: unit=full_preactivation depth=32."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and batch statistics stay float32."""
    remat: bool = False
    """Recompute each block's activations in the backward pass: less memory, more time."""


@dataclasses.dataclass(frozen=True)
class Data:
    """Which examples, and how they become batches."""

    source: str = "digits"
    """digits, rotated_digits, tfds:NAME, folder:PATH or npz:PATH."""
    data_dir: str | None = None
    """Where prepared TFDS data sets are; by default TFDS's own folder."""
    limit: int | None = None
    """Train on this many examples only, drawn evenly from the classes."""
    classes: tuple[str, ...] = ()
    """Keep these classes only, by name, in training and evaluation."""
    per_class: tuple[int, ...] = ()
    """Two numbers: training examples of the first and of the last class, the others evenly in between."""
    rotate: tuple[float, ...] = ()
    """Two angles in degrees, between which each image is turned once; the angle is its target."""
    pipeline: Literal["auto", "memory", "grain"] = "auto"
    """memory keeps the whole set on the device, grain reads it with workers; auto: memory up to 1 GiB."""
    workers: int = 0
    """Worker processes of the grain pipeline; 0 reads in the main process."""
    batch_size: int = 128
    """Training examples a step, over all devices."""
    eval_batch_size: int = 500
    """Evaluation examples a step, over all devices."""
    crop: int = 0
    """Pixels a side of the random windows that training cuts from images of any size; 0: images have one size."""
    smallest_area: float = 0.08
    """Smallest share of an image's area in such a window."""
    resize: int = 0
    """Pixels of an image's shorter side at evaluation; 0: as eval_crop."""
    eval_crop: int = 0
    """Pixels a side of the central square that evaluation cuts then; 0: as crop."""

    @property
    def part(self) -> Part:
        """What is made of the source."""
        return Part(self.classes, self.per_class, self.rotate)

    def framing(self, split: Literal["train", "test"]) -> Framing | None:
        """How the images of a split become squares of one size; None where they have one."""
        if not self.crop:
            return None
        if split == "train":
            return Framing(self.crop, self.crop, self.smallest_area)
        side = self.eval_crop or self.crop
        return Framing(side, self.resize or side)


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """How parameters move."""

    name: Literal["sgd", "adam", "adamw", "lars", "lamb", "muon"] = "sgd"
    """The optimiser, from optax."""
    learning_rate: float = 0.1
    """The peak learning rate; the schedule scales it."""
    momentum: float = 0.9
    """Momentum of sgd, lars and muon; 0 is none."""
    nesterov: bool = False
    """Nesterov's form of the momentum; lamb has none."""
    b1: float = 0.9
    """First-moment decay of adam, adamw, lamb and of muon's vectors, which adam moves."""
    b2: float = 0.999
    """Second-moment decay of the same."""
    weight_decay: float = 1e-4
    """Pull towards zero: decoupled for adamw, lamb and muon, added to the gradient for the others."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer (stem, each block, head) to the one below; 1 moves all alike."""
    decay_all: bool = False
    """Decay biases and norm parameters too; by default only matrices and kernels."""
    clip_norm: float | None = None
    """Largest global norm of the gradient."""
    accumulate: int = 1
    """Steps whose gradients are averaged into one update."""
    ema: float | None = None
    """Decay, an update, of an exponential moving average of the parameters, evaluated beside them."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How the learning rate moves over the run; times are fractions of all updates."""

    name: Literal["constant", "step", "cosine", "quadratic", "one_cycle"] = "cosine"
    """constant, step (times `factor` at each milestone), cosine or quadratic (to zero), or one_cycle."""
    warmup: float = 0.0
    """Linear warm-up from zero over this fraction of the run; one_cycle rises from a 25th of the peak along a
    cosine, over 0.3 of the run where this is 0."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Where `step` multiplies the learning rate."""
    factor: float = 0.1
    """What `step` multiplies it by."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a run."""

    name: str = "custom"
    """The recipe's name; runs are kept under runs/NAME."""
    model: Model = Model()
    data: Data = Data()
    augment: Augment = Augment()
    task: Task = Task()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    weights: str | None = None
    """Where to start instead of random numbers: a file, such as another run's model.safetensors; the name of published
    weights, such as IMAGENET1K_V1; or hub:OWNER/REPOSITORY. A head for other classes is drawn anew."""
    freeze: tuple[str, ...] = ()
    """Parameters that stay as they are, as shell patterns of their paths, with the statistics beside them; the last
    pattern that fits decides, and ! lets move: "*" "!head/*" trains the head alone."""
    epochs: int = 10
    """Passes over the training examples."""
    steps: int | None = None
    """Training steps; overrides epochs."""
    seed: int = 0
    """Decides initialisation, order of the data, augmentation and dropout."""
    placement: Literal["jit", "fsdp", "pmap"] = "jit"
    """jit: data parallel over a mesh; fsdp: parameters sharded too; pmap: one replica a device."""
    steps_per_dispatch: int = 0
    """The most steps that one call of the device runs; 0 chooses: several for dense networks and on accelerators.
    With pmap or the grain pipeline it is always one."""
    eval_every: int = 1
    """Epochs between evaluations."""
    checkpoint_every: int = 0
    """Steps between checkpoints; 0 is once an epoch. The end of an epoch that is evaluated saves too."""
    log_every: int = 50
    """Steps between lines of metrics."""
    early_stop: int = 0
    """Stop after this many evaluations without a better result; 0 never stops early."""
    on_nan: Literal["stop", "skip"] = "stop"
    """A loss or gradient that is not finite stops the run, or its update is skipped and counted."""

    def __post_init__(self) -> None:
        misfits = _misfits(self)
        if misfits:
            raise RecipeError(f"recipe {self.name}: {'; '.join(misfits)}")
        optimizer = self.optimizer
        checks = {
            "name": bool(self.name) and not {"/", "\\"} & set(self.name),
            "epochs": self.epochs >= 1,
            "steps": self.steps is None or self.steps >= 1,
            "data.batch_size": self.data.batch_size >= 1,
            "data.eval_batch_size": self.data.eval_batch_size >= 1,
            "data.workers": self.data.workers >= 0,
            "data.limit": self.data.limit is None or self.data.limit >= 1,
            "data.classes": len(self.data.classes) != 1,
            "data.per_class": not self.data.per_class
            or (len(self.data.per_class) == 2 and 1 <= self.data.per_class[0] <= self.data.per_class[1]),
            "data.rotate": not self.data.rotate
            or (len(self.data.rotate) == 2 and self.data.rotate[0] < self.data.rotate[1] and not self.data.crop),
            "data.crop": self.data.crop >= 0,
            "data.smallest_area": 0 < self.data.smallest_area <= 1,
            "data.eval_crop": self.data.eval_crop == 0 or (self.data.eval_crop > 0 and self.data.crop > 0),
            "data.resize": self.data.resize == 0
            or (self.data.crop > 0 and self.data.resize >= (self.data.eval_crop or self.data.crop)),
            "task.label_smoothing": 0 <= self.task.label_smoothing < 1,
            "task.space.dims": self.task.space.dims == 0
            or self.task.space.dims >= (3 if self.task.name == "sphere_joint" else 2),
            "task.space.bounds": not self.task.space.bounds
            or (len(self.task.space.bounds) == 2 and self.task.space.bounds[0] < self.task.space.bounds[1]),
            "task.space.seed": 0 <= self.task.space.seed < 2**32,
            "optimizer.learning_rate": 0 <= optimizer.learning_rate < math.inf,
            "optimizer.momentum": 0 <= optimizer.momentum < 1,
            "optimizer.b1": 0 <= optimizer.b1 < 1,
            "optimizer.b2": 0 <= optimizer.b2 < 1,
            "optimizer.weight_decay": 0 <= optimizer.weight_decay < math.inf,
            "optimizer.layer_decay": 0 < optimizer.layer_decay <= 1,
            "optimizer.accumulate": optimizer.accumulate >= 1,
            "optimizer.ema": optimizer.ema is None or 0 <= optimizer.ema < 1,
            "optimizer.clip_norm": optimizer.clip_norm is None or optimizer.clip_norm > 0,
            "schedule.warmup": 0 <= self.schedule.warmup < 1,
            "schedule.milestones": all(0 < m < 1 for m in self.schedule.milestones),
            "schedule.factor": 0 <= self.schedule.factor < math.inf,
            "seed": 0 <= self.seed < 2**32,  # more than 32 bits would be cut off
            "steps_per_dispatch": self.steps_per_dispatch >= 0,
            "eval_every": self.eval_every >= 1,
            "checkpoint_every": self.checkpoint_every >= 0,
            "log_every": self.log_every >= 1,
            "early_stop": self.early_stop >= 0,
        }
        values = flatten(self)
        bad = [f"{field}={values[field]!r}" for field, fine in checks.items() if not fine]
        if bad:
            raise RecipeError(f"recipe {self.name}: out of range: {', '.join(bad)}")
        if unused := unused_fields(self.task):
            fields = ", ".join(f"task.{name}" for name in unused)
            kind = f" with {self.task.space.prototypes} prototypes" if self.task.name.startswith("sphere") else ""
            raise RecipeError(
                f"recipe {self.name}: {self.task.name}{kind} has no {fields}: leave out or set the default"
            )
        if self.data.crop and self.data.pipeline == "memory":
            raise RecipeError(
                f"recipe {self.name}: data.crop cuts windows anew each epoch: expected data.pipeline auto or grain, "
                "got memory"
            )


def _misfits(node: Any, prefix: str = "") -> list[str]:
    """The fields whose value is not of the declared type, or not among the declared choices."""
    found = []
    for name, hint in typing.get_type_hints(type(node)).items():
        value = getattr(node, name)
        if not _fits(value, hint):
            expected = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
            found.append(f"{prefix}{name}: expected {expected}, got {value!r}")
        elif dataclasses.is_dataclass(hint):
            found += _misfits(value, f"{prefix}{name}.")
    return found


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is types.UnionType:
        return any(_fits(value, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(element, arguments[0]) for element in value)
    if isinstance(value, bool):  # to Python a bool is an int
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


_SET_ELSEWHERE = {
    "num_classes": "the task",
    "dtype": "model.dtype",
    "remat": "model.remat",
    "axis_name": "placement",
}
"""Fields of a model that are not options, and what decides them."""


def model_options(recipe: Recipe) -> dict[str, Any]:
    """The model's options as Python values; what is no Python literal is a word.

    Raises:
      RecipeError: an option is no name=value, comes twice, or is decided by another field of the recipe.

    >>> model_options(Recipe(model=Model(options=("depth=8", "unit=original"))))
    {'depth': 8, 'unit': 'original'}
    """
    options: dict[str, Any] = {}
    for text in recipe.model.options:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise RecipeError(f"model.options: expected name=value, got {text!r}")
        if name in options:
            raise RecipeError(f"model.options: {name!r} comes twice")
        if name in _SET_ELSEWHERE:
            raise RecipeError(f"model.options: {name!r} is decided by {_SET_ELSEWHERE[name]}")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value  # a plain word, such as unit=original
    return options


def flatten(recipe: Recipe) -> dict[str, Any]:
    """The recipe as one level of dotted names: {"model.name": ..., "optimizer.learning_rate": ...}."""
    return flat_names(to_dict(recipe))


def flat_names(node: Any, path: str = "") -> dict[str, Any]:
    """Nested dictionaries as one level of dotted names.

    >>> flat_names({"model": {"name": "mlp"}, "seed": 0})
    {'model.name': 'mlp', 'seed': 0}
    """
    if not isinstance(node, dict):
        return {path: node}
    parts = (flat_names(child, f"{path}.{name}" if path else name) for name, child in node.items())
    return {name: value for part in parts for name, value in part.items()}


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The fields in which two recipes differ, as lines "field: one -> other"."""
    left, right = flatten(one), flatten(other)
    return [f"{name}: {left[name]!r} -> {right[name]!r}" for name in left if left[name] != right[name]]


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries that json can write."""
    return dataclasses.asdict(recipe)


def from_dict(values: dict[str, Any], kind: type = Recipe) -> Any:
    """The recipe that `to_dict` wrote, also after a journey through json; what is left out has its default.

    Raises:
      UnknownNameError: a field does not exist; the message names the nearest.
      RecipeError: a value is of the wrong type or out of range.
    """
    if not isinstance(values, dict):
        raise RecipeError(f"{kind.__name__}: expected its fields, got {values!r}")
    hints = typing.get_type_hints(kind)
    arguments = {}
    for name, value in values.items():
        if name not in hints:
            raise unknown(f"field of {kind.__name__}", name, hints)
        if dataclasses.is_dataclass(hints[name]):
            value = from_dict(value, hints[name])
        elif isinstance(value, list):
            value = tuple(value)
        arguments[name] = value
    return kind(**arguments)
