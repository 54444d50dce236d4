"""The recipe: everything that decides a run, as one frozen dataclass of plain values.

Two runs of one recipe, with the same versions on the same platform, give bit-identical parameters.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from train.config.augmentation import Augment
from train.config.base import Config
from train.config.data import Data
from train.config.errors import RecipeError
from train.config.model import Model
from train.config.optimizer import Optimizer, Schedule
from train.config.task import Task
from train.config.tasks.classification import Classification
from zoo.rows import html_folded, html_rows


@dataclasses.dataclass(frozen=True)
class Recipe(Config):
    """Everything that decides a run."""

    most: ClassVar[Mapping[str, int]] = MappingProxyType({"epochs": 10**6, "steps": 10**9, "steps_per_dispatch": 1000})

    name: str = "custom"
    """The recipe's name; runs are kept under runs/NAME."""
    model: Model = Model()
    data: Data = Data()
    augment: Augment = Augment()
    task: Task = Classification()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    weights: str | None = None
    """Where to start instead of random numbers: a file, such as another run's model.safetensors; the name of published
    weights, such as IMAGENET1K_V1; or hub:OWNER/REPOSITORY. A head for other classes is drawn
    anew, and so is what a task has on top of the network where the file holds the network alone."""
    weights_into: str = ""
    """The part of the model that the weights are of, such as backbone; by default all of it. Published weights are
    then that part's, and what is beside it is drawn."""
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
    exact: bool = True
    """On a GPU, use only kernels that give the same bits each time, some of them slower; elsewhere all do."""
    on_nan: Literal["stop", "skip"] = "stop"
    """A loss or gradient that is not finite stops the run, or its update is skipped and counted. Of accumulated steps
    that one alone is left out: the update waits for the next, and after the run's last step it is not made."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "name": bool(self.name) and not {"/", "\\"} & set(self.name),
            "epochs": self.epochs >= 1,
            "steps": self.steps is None or self.steps >= 1,
            "seed": 0 <= self.seed < 2**32,  # more than 32 bits would be cut off
            "steps_per_dispatch": self.steps_per_dispatch >= 0,
            "eval_every": self.eval_every >= 1,
            "checkpoint_every": self.checkpoint_every >= 0,
            "log_every": self.log_every >= 1,
            "early_stop": self.early_stop >= 0,
        }

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          RecipeError: one is out of its range; the message names the recipe and the field.
        """
        try:
            super().__post_init__()
            if self.weights_into and self.weights is None:
                raise RecipeError(
                    f"weights_into: expected it empty where there are no weights, got {self.weights_into!r}"
                )
        except RecipeError as error:
            raise RecipeError(f"recipe {self.name}: {error}") from None

    def _repr_html_(self) -> str:
        """The recipe as a notebook shows it: what is not as by default, and the rest folded."""
        plain = Recipe(task=type(self.task)())
        changed, rest = [], []
        for part, usual in [(self, plain), *((getattr(self, f.name), getattr(plain, f.name)) for f in _parts(self))]:
            if isinstance(part, Task):
                changed.append(("task.kind", part.kind))
            for field in dataclasses.fields(part):
                value = getattr(part, field.name)
                if not isinstance(value, Config):
                    row = (part._path(field.name), _words(value))
                    (rest if value == getattr(usual, field.name) else changed).append(row)
        count = f"{len(rest)} fields as by default"
        return html_rows(changed, f"Recipe {self.name}") + html_folded(count, html_rows(rest))


def _parts(recipe: Recipe) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(recipe) if isinstance(getattr(recipe, field.name), Config)]


def _words(value: object) -> str:
    """A value as a person types it.

    >>> _words(("widening=2", "depth=8")), _words(None)
    ('widening=2 depth=8', 'none')
    """
    if isinstance(value, tuple):
        return " ".join(map(_words, value)) or "none"
    return "none" if value is None else str(value)
