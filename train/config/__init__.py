"""What a person decides: recipes as frozen dataclasses of plain values. Nothing here imports jax.

Read `recipe.py` first, then the parts that it names; `task.py` has the table of tasks, `codec.py` reads and writes.
"""

from train.config.augmentation import Augment
from train.config.codec import differences, flat_names, flatten, from_dict, to_dict
from train.config.data import Data
from train.config.errors import DataError, LostProcessError, RecipeError, RunError
from train.config.metric import LOSS, Metric, shown
from train.config.model import Model, model_options
from train.config.optimizer import Optimizer, Schedule
from train.config.recipe import Recipe
from train.config.task import Task, settings_of
from train.config.tasks.classification import Classification

__all__ = [
    "LOSS",
    "Augment",
    "Classification",
    "Data",
    "DataError",
    "LostProcessError",
    "Metric",
    "Model",
    "Optimizer",
    "Recipe",
    "RecipeError",
    "RunError",
    "Schedule",
    "Task",
    "differences",
    "flat_names",
    "flatten",
    "from_dict",
    "model_options",
    "settings_of",
    "shown",
    "to_dict",
]
