"""What a recipe says of the task and of the space of the network's outputs. Lecture rows L80-L95."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Space:
    """The space of the network's outputs, of the tasks on the sphere; that of others follows from the data."""

    dims: int = 0
    """Outputs of the network. 0: as many as classes, for a value alone 3, with a class too one more than classes. A
    plain regression with several has one more linear layer."""
    prototypes: str = "separated"
    """separated, random, one_hot, vectors, semantic (separated in the order of a likeness), or a file of prototypes."""
    objective: Literal["max", "mean"] = "max"
    """What separated prototypes minimise: the largest cosine of all, or the mean of each one's largest."""
    vectors: str | None = None
    """For vectors and semantic: a file of word vectors of the classes' names; for semantic also taxonomy:cifar100."""
    bounds: tuple[float, ...] = ()
    """Lowest and highest value; by default those of the training examples."""
    seed: int = 0
    """Of the prototypes, so that runs of other seeds have the same."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learned."""

    name: Literal[
        "classification",
        "regression",
        "joint",
        "sphere_classification",
        "sphere_regression",
        "sphere_joint",
        "max_separation",
        "cosface",
        "arcface",
        "sphereface",
        "class_means",
    ] = "classification"
    """classification of labels, regression of one number, or joint: both; sphere_...: the same with hyperspherical
    prototypes. Other classifiers: a fixed matrix before the softmax (max_separation), angular margins (cosface,
    arcface, sphereface), and the nearest mean of a class (class_means)."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes, in [0, 1)."""
    standardise: bool = True
    """Whether a plain regression learns (value - mean) / deviation, or the value in its own unit."""
    space: Space = Space()

    @property
    def learns_labels(self) -> bool:
        """Whether examples need a label."""
        return "regression" not in self.name

    @property
    def learns_value(self) -> bool:
        """Whether examples need a target."""
        return self.name.endswith(("regression", "joint"))


_SPACE_OF = {
    "regression": {"dims"},
    "sphere_classification": {"dims", "prototypes", "objective", "vectors", "seed"},
    "sphere_regression": {"dims", "bounds"},
    "sphere_joint": {"dims", "prototypes", "objective", "vectors", "seed", "bounds"},
    "cosface": {"dims"},
    "arcface": {"dims"},
    "sphereface": {"dims"},
    "class_means": {"dims"},
}
"""What each task takes from its space; others have one that follows from the data."""


_PROTOTYPES_OF = {
    "separated": {"objective", "seed"},
    "random": {"seed"},
    "one_hot": set(),
    "vectors": {"vectors"},
    "semantic": {"vectors", "objective", "seed"},
}
"""What each kind of prototypes takes from the space; a file takes nothing."""


def unused_fields(task: Task) -> list[str]:
    """Fields that are set although the task, or its kind of prototypes, does not have them."""
    space = task.space
    used = _SPACE_OF.get(task.name, set())
    if "prototypes" in used:
        used = used - {"objective", "vectors", "seed"} | _PROTOTYPES_OF.get(space.prototypes, set())
    unused = [
        f"space.{field.name}"
        for field in dataclasses.fields(Space)
        if getattr(space, field.name) != field.default and field.name not in used
    ]
    if task.label_smoothing and task.name != "classification":
        unused.append("label_smoothing")
    if not task.standardise and task.name not in ("regression", "joint"):
        unused.append("standardise")
    return unused
