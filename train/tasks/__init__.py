"""Tasks: what a batch's outputs are worth, as pure functions."""

from train import recipe as recipes
from train.tasks.baselines import AngularMargin, ClassMeans, MaxSeparation
from train.tasks.classification import Classification
from train.tasks.joint import Joint
from train.tasks.protocol import Batch, Prediction, Sums, Task
from train.tasks.prototypes import prototypes_of
from train.tasks.regression import Regression
from train.tasks.sphere import Rows, SphereClassification, SphereJoint, SphereRegression, as_rows
from zoo.hyperspheres import simplex

__all__ = ["Batch", "Classification", "Prediction", "Regression", "Rows", "Sums", "Task", "from_card", "make_task"]

_VALUE_DIMS = 3
"""Of a hyperspherical regression that does not say."""

_KINDS = {
    "classification": Classification,
    "regression": Regression,
    "joint": Joint,
    "sphere_classification": SphereClassification,
    "sphere_regression": SphereRegression,
    "sphere_joint": SphereJoint,
    "max_separation": MaxSeparation,
    **dict.fromkeys(("cosface", "arcface", "sphereface"), AngularMargin),
    "class_means": ClassMeans,
}


def make_task(config: recipes.Task, source, prototypes: Rows | None = None) -> Task:
    """The task of a recipe, for the examples of a source (see `train.data`).

    Args:
      config: the recipe's.
      source: of the examples.
      prototypes: those of a run that is there; by default they are placed as the recipe says.

    Raises:
      RecipeError: the source does not have what the task learns, or the output space does not fit it.
    """
    space, kind = config.space, _KINDS[config.name]
    names = source.class_names
    if config.learns_labels and not names:
        raise recipes.RecipeError(f"{config.name} needs examples with labels; {source.name} has none")
    if config.learns_labels and len(names) < 2 and kind is not Classification:
        raise recipes.RecipeError(f"{config.name} needs at least two classes; {source.name} has {names[0]} alone")
    if not config.learns_value:
        if kind is Classification:
            return Classification(names, config.label_smoothing)
        if kind is MaxSeparation:
            return MaxSeparation(names, as_rows(simplex(len(names), len(names) - 1)))
        if kind is AngularMargin:
            return AngularMargin(names, config.name, space.dims or len(names))
        if kind is ClassMeans:
            return ClassMeans(names, space.dims or len(names))
        return kind(names, prototypes or as_rows(prototypes_of(space, names, space.dims or len(names))))
    if "target" not in source[0]:
        raise recipes.RecipeError(f"{config.name} needs examples with a 'target'; {source.name} has labels only")
    targets, unit = source.arrays()["target"], source.target_unit
    if kind is Regression:
        return Regression.of_targets(targets, unit, space.dims or 1, config.standardise)
    if kind is Joint:
        values = Regression.of_targets(targets, unit, standardise=config.standardise)
        return Joint(names, values.mean, values.std, unit)
    lower, upper = space.bounds or (float(targets.min()), float(targets.max()))
    if not lower < upper:
        raise recipes.RecipeError(f"task.space.bounds: expected a lower bound below the upper, got {lower} and {upper}")
    if kind is SphereRegression:
        return SphereRegression(lower, upper, space.dims or _VALUE_DIMS, unit)
    dims = space.dims - 1 if space.dims else len(names)
    return SphereJoint(names, prototypes or as_rows(prototypes_of(space, names, dims)), lower, upper, unit)


def from_card(config: recipes.Task, values: dict) -> Task:
    """The task of a run that is there, from what its `recipe.json` says of it; needs no examples."""
    return _KINDS[config.name](**{name: _as_tuple(value) for name, value in values.items()})


def _as_tuple(value):
    """Lists, also of lists, as json has them, as the tuples that they were."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
