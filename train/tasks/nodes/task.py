"""Classes of nodes: the network sees the whole graph, and learns from those of its nodes that are for training.

Yang, Cohen and Salakhutdinov, 2016, call it transductive: one graph is the one example of training and test alike, and
what each node is for stands in it. Lecture row L78.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from train.config import LOSS, Metric, RecipeError
from train.config.tasks.graphs import NodeClassification as Settings
from train.data.fields import Facts, Kind, Spec
from train.data.graph_fields import EDGES, LABELS, NODES, PARTS, TEST, TRAINING, VALIDATION
from train.data.source import Source
from train.tasks.protocol import Apply, Aux, Batch, Keys, OneForward, Page, Prediction, Ratio, Totals, mean_of

ACCURACY = Metric("accuracy", "Accuracy of the test nodes", percent=True)
VALIDATED = Metric("val_accuracy", "Accuracy of the validation nodes", percent=True)
VALIDATION_LOSS = Metric("val_loss", "Loss of the validation nodes", higher_is_better=False)

Logits = Float[Array, "batch nodes classes"]


def graph_inputs(batch: Batch) -> tuple[Array, Array, Array, Array]:
    """Nodes, edges, and which of both are real: what networks of graphs take."""
    return batch[NODES], batch[EDGES], batch[f"{NODES}_valid"], batch[f"{EDGES}_valid"]


def check_graphs(spec: Spec) -> None:
    """Refuses examples that are no graphs.

    Raises:
      RecipeError: edges or nodes are of another kind, or not padded to one size.
    """
    nodes, edges = spec[NODES], spec[EDGES]
    if nodes.kind != Kind.VALUE or len(nodes.shape) != 2 or not nodes.most:
        raise RecipeError(f"expected {NODES} with features, padded to one number, found {nodes.kind} {nodes.shape}")
    if edges.kind != Kind.EDGES or not edges.most:
        raise RecipeError(f"expected {EDGES} of graphs, padded to one number, found {edges.kind} {edges.shape}")


@dataclasses.dataclass(frozen=True)
class NodeClassification(OneForward):
    """A class a node: int32 `batch["labels"]`, (batch, nodes), and `batch["parts"]`, what each node is for.

    Training measures the nodes it learns from, evaluation the others: those to validate on rank checkpoints and say
    when to stop early, those of the test do neither.
    """

    fields: ClassVar[tuple[str, ...]] = (NODES, EDGES, LABELS, PARTS)
    frames: ClassVar[tuple[str, ...]] = (NODES,)

    class_names: tuple[str, ...]
    validates: bool
    """Whether there are nodes to validate on; else those of the test rank checkpoints too."""

    @classmethod
    def fit(cls, settings: Settings, source: Source) -> Self:
        """See `Task`: the names of the classes, and whether there are nodes to validate on.

        Raises:
          RecipeError: the examples are no graphs whose nodes have classes, or none of them is to be learned from.
        """
        if not {LABELS, PARTS} <= set(source.spec) or len(source.facts.classes) < 2:
            raise RecipeError(
                f"{settings.kind} needs graphs with {LABELS} and {PARTS} of their nodes, of two named classes or more; "
                f"{source.name} has none"
            )
        parts = {int(part) for row in range(len(source)) for part in source.peek(row, PARTS)}
        if not {TRAINING, TEST} <= parts:
            raise RecipeError(f"{settings.kind} needs nodes to learn from and nodes to test on; {source.name} has none")
        return cls(source.facts.classes, VALIDATION in parts)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See `Task`: what is validated comes first, where there is such."""
        return (VALIDATED, ACCURACY, VALIDATION_LOSS, LOSS) if self.validates else (ACCURACY, LOSS)

    def check(self, spec: Spec, facts: Facts) -> None:
        """See `Task`."""
        super().check(spec, facts)
        check_graphs(spec)
        if spec[LABELS].kind != Kind.LABEL or spec[LABELS].padded != spec[NODES].padded[:1]:
            raise RecipeError(f"expected {LABELS} with a label a node, found {spec[LABELS].kind} {spec[LABELS].shape}")

    def model_options(self) -> dict[str, Any]:
        """A logit a class."""
        return {"num_classes": len(self.class_names)}

    def inputs(self, batch: Batch) -> tuple[Any, ...]:
        """Nodes, edges, and which of them are real."""
        return graph_inputs(batch)

    def objective(self, outputs: Logits, batch: Batch) -> Ratio:
        """The mean cross entropy of the nodes that are for training."""
        of = self._of(TRAINING, batch)
        return Ratio(jnp.sum(self._losses(outputs, batch), where=of), jnp.sum(of, dtype=jnp.float32))

    def loss(self, apply: Apply, params: PyTree[Array], batch: Batch, keys: Keys) -> tuple[Ratio, Aux]:
        """See `Task`: what is logged are sums over the nodes that are learned from."""
        outputs, state = apply(params, *self.inputs(batch))
        return self.objective(outputs, batch), Aux({"training": self._sums(TRAINING, outputs, batch)}, state)

    def totals(self, outputs: Logits, batch: Batch) -> Totals:
        """Sums over the nodes of the test, and over those to validate on."""
        found = {"test": self._sums(TEST, outputs, batch)}
        return found | ({"validation": self._sums(VALIDATION, outputs, batch)} if self.validates else {})

    def scores(self, totals: Totals) -> dict[str, float]:
        """Mean loss and accuracy, of a training step those of the nodes that are learned from."""
        own = totals["training"] if "training" in totals else totals["test"]
        found = {"loss": mean_of(own, "loss"), "accuracy": mean_of(own, "correct")}
        if "validation" in totals:
            validated: Mapping[str, Any] = totals["validation"]
            found |= {"val_loss": mean_of(validated, "loss"), "val_accuracy": mean_of(validated, "correct")}
        return found

    def decode(self, outputs: Logits) -> Prediction:
        """The logits of each node, in float32."""
        return {"logits": outputs.astype(jnp.float32)}

    def page(self) -> Page:
        """See `Task`."""
        from train.tasks.nodes.page import NodePage

        return NodePage(self.class_names)

    def _of(self, part: int, batch: Batch) -> Bool[Array, "batch nodes"]:
        """The real nodes of real graphs that are for this, and whose class is known."""
        real = batch[f"{NODES}_valid"] & batch["mask"][:, None]
        return real & (batch[PARTS] == part) & (batch[LABELS] >= 0)

    def _sums(self, part: int, outputs: Logits, batch: Batch) -> dict[str, Float[Array, ""]]:
        of = self._of(part, batch)
        right = (jnp.argmax(outputs, axis=-1) == batch[LABELS]) & jnp.isfinite(outputs).all(axis=-1)
        return {
            "count": jnp.sum(of, dtype=jnp.float32),
            "loss": jnp.sum(self._losses(outputs, batch), where=of),
            "correct": jnp.sum(right, where=of, dtype=jnp.float32),
        }

    def _losses(self, outputs: Logits, batch: Batch) -> Float[Array, "batch nodes"]:
        labels = jnp.maximum(batch[LABELS], 0)
        return optax.softmax_cross_entropy_with_integer_labels(outputs.astype(jnp.float32), labels)
