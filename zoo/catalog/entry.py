"""What the catalog says of one model."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.catalog.inputs import Input, as_inputs
from zoo.rows import html_rows

if TYPE_CHECKING:
    from zoo.catalog.pretrained import Pretrained


@dataclasses.dataclass(frozen=True, init=False)
class Ref:
    """A model of the catalog as an option of another: `Ref("resnet50", num_classes=0)`.

    `zoo.create` builds it when it builds the model that it is part of; a user may give any module instead.
    """

    name: str
    """A name of `zoo.list_models()`."""
    options: Mapping[str, Any]
    """As for `zoo.create`."""

    def __init__(self, name: str, **options: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", options)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the catalog: how a model is built, and what is known about it."""

    name: str
    """The name that `zoo.create` takes."""
    builder: str
    """Where the Flax module class is, or a function that makes a module, as "package.module:Name"; imported when the
    model is created."""
    task: str
    """What the model predicts: "classification", "detection", "optical_flow"."""
    inputs: tuple[Input, ...]
    """What the model takes, of the sizes that the paper used. Of one image the shape will do: (224, 224, 3)."""
    paper: str
    """Authors, year, title."""
    lecture: str
    """The rows of the lecture's checklist that the model serves."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The options of the builder that make this variant; what is itself a model is a `Ref`."""
    weights: tuple[str, ...] = ()
    """The layouts of `zoo.weights.FAMILIES` in which other libraries name the model's parameters."""
    heads: tuple[str, ...] = ("head",)
    """Paths of the layers whose last axis grows with the number of classes: they are drawn anew for another number."""
    auxiliary: tuple[str, ...] = ()
    """Paths of whole classifiers beside the network, which is the same without them."""
    additions: tuple[str, ...] = ()
    """Paths of layers that a file may lack, which then begin as they are drawn: what a network adds to another, from
    whose weights it goes on."""
    embeddings: tuple[str, ...] = ()
    """Paths of the layers whose first axis grows with the number of classes, which are words: drawn anew with heads."""

    def __post_init__(self) -> None:
        given = self.inputs
        if given and isinstance(given[0], int):
            given = (Input("images", tuple(given)),)
        object.__setattr__(self, "inputs", as_inputs(*given))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example of the first input, without the batch axis."""
        return self.inputs[0].shape

    @property
    def pretrained(self) -> "tuple[Pretrained, ...]":
        """Published weights of the model, with their preprocessing, classes and accuracy."""
        from zoo.catalog.pretrained import table  # reads a file, when somebody asks

        return table().get(self.name, ())

    def _repr_html_(self) -> str:
        """The row as a notebook shows it; what is empty is left out."""
        said = {
            "inputs": ", ".join(map(str, self.inputs)),
            "task": self.task,
            "options": ", ".join(f"{name}={value!r}" for name, value in self.options.items()),
            "builder": self.builder,
            "paper": self.paper,
            "lecture": self.lecture,
            "published weights": ", ".join(each.name for each in self.pretrained),
        }
        return html_rows([(name, value) for name, value in said.items() if value], self.name)
