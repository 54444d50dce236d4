"""Tasks: what a batch's outputs are worth, as pure functions."""

from train import recipe as recipes
from train.tasks.classification import Classification
from train.tasks.protocol import Batch, Sums, Task
from train.tasks.regression import Regression

__all__ = ["Batch", "Classification", "Regression", "Sums", "Task", "from_card", "make_task"]


def make_task(config: recipes.Task, source) -> Task:
    """The task of a recipe, for the examples of a source (see `train.data`).

    Raises:
      RecipeError: the source does not have what the task learns.
    """
    if config.name == "regression":
        if "target" not in source[0]:
            raise recipes.RecipeError(f"regression needs examples with a 'target'; {source.name} has labels only")
        return Regression.of_targets(source.arrays()["target"], source.target_unit)
    if not source.class_names:
        raise recipes.RecipeError(f"classification needs examples with labels; {source.name} has none")
    return Classification(source.class_names, config.label_smoothing)


def from_card(config: recipes.Task, values: dict) -> Task:
    """The task of a run that is there, from what its `recipe.json` says of it; needs no examples."""
    kind = Regression if config.name == "regression" else Classification
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
