"""Graphs: the sides of a karate club, and what papers are about that cite each other. Lecture row L78.

python -m train fit karate_gcn                        built in; needs the extra `graphs`
python -m train fit cora_gcn --data.data-dir FOLDER   Planetoid's files ind.cora.x and so on are in the folder
python -m train fit cora_gat --data.data-dir FOLDER
python -m train fit superpixels_sage                  built in; digits as graphs, needs the extra too
python -m train fit cora_gcn --data.source graph:mine.npz               a graph of your own, see the source
python -m train fit superpixels_gcn --data.source tu:FOLDER/MUTAG       graphs with a class each

One graph is one example: of a machine with several devices it takes one, `CUDA_VISIBLE_DEVICES=0 python -m train ...`.

The settings are those of Kipf and Welling, 2017, and of Veličković et al., 2018; an epoch is one step, for there is one
graph. A run keeps the checkpoint that is best on the validation nodes, and reports the last. What they reach is in the
chapter's README; what the recipes of Pubmed and of superpixels with GCN and GAT do was not measured.
"""

import dataclasses

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.graphs import GraphClassification, NodeClassification

KARATE = Recipe(
    name="karate_gcn",
    model=Model("gcn", options=("hidden_sizes=(16,)", "dropout=0.0")),
    data=Data(source="karate", batch_size=1, eval_batch_size=1),
    task=NodeClassification(),
    optimizer=Optimizer("adam", learning_rate=1e-2, weight_decay=5e-4, decay_only=("layer1/*",)),
    schedule=Schedule("constant"),
    epochs=200,
    eval_every=50,
    checkpoint_every=50,
)
CORA = dataclasses.replace(
    KARATE,
    name="cora_gcn",
    model=Model("gcn"),
    data=dataclasses.replace(KARATE.data, source="planetoid:cora"),
    eval_every=20,
    checkpoint_every=100,
)
GAT = dataclasses.replace(
    CORA,
    name="cora_gat",
    model=Model("gat"),
    optimizer=Optimizer("adam", learning_rate=5e-3, weight_decay=5e-4),
    epochs=1000,
    early_stop=5,
)


def _on(recipe: Recipe, name: str) -> Recipe:
    """The same recipe for another of Planetoid's graphs."""
    data = dataclasses.replace(recipe.data, source=f"planetoid:{name}")
    return dataclasses.replace(recipe, name=recipe.name.replace("cora", name), data=data)


# Pubmed has three classes with 20 nodes each: Veličković et al. take larger steps, more decay and eight output heads.
PUBMED_GAT = dataclasses.replace(
    _on(GAT, "pubmed"),
    model=Model("gat", options=("output_heads=8",)),
    optimizer=Optimizer("adam", learning_rate=1e-2, weight_decay=1e-3),
)

SUPERPIXELS = Recipe(
    name="superpixels_sage",
    model=Model("graph_sage"),
    data=Data(source="superpixels", batch_size=64, eval_batch_size=360),
    task=GraphClassification(),
    optimizer=Optimizer("adamw", learning_rate=1e-2, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=100,
    eval_every=20,
    log_every=22,
)


def _by(model: str) -> Recipe:
    """The same recipe for another network."""
    return dataclasses.replace(SUPERPIXELS, name=f"superpixels_{model}", model=Model(f"graph_{model}"))


RECIPES = (
    KARATE,
    CORA,
    _on(CORA, "citeseer"),
    _on(CORA, "pubmed"),
    GAT,
    _on(GAT, "citeseer"),
    PUBMED_GAT,
    SUPERPIXELS,
    _by("gcn"),
    _by("gat"),
)
