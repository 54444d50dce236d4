"""What the catalog says of one model."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.catalog.pretrained import Pretrained


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the catalog: how a model is built, and what is known about it."""

    name: str
    """The name that `zoo.create` takes."""
    builder: str
    """Where the Flax module class is, as "package.module:Class"; imported when the model is created."""
    task: str
    """What the model predicts: "classification"."""
    input_shape: tuple[int, ...]
    """The shape of one example, without the batch axis, that the paper used."""
    paper: str
    """Authors, year, title."""
    lecture: str
    """The rows of the lecture's checklist that the model serves."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The fields of the builder that make this variant."""
    weights: tuple[str, ...] = ()
    """The layouts of `zoo.weights.FAMILIES` in which other libraries name the model's parameters."""

    @property
    def pretrained(self) -> "tuple[Pretrained, ...]":
        """Published weights of the model, with their preprocessing, classes and accuracy."""
        from zoo.catalog.pretrained import table  # reads a file, when somebody asks

        return table().get(self.name, ())
