"""The lecture's tables and figures, one command each: `python -m train experiment NAME --scale quick`.

Read `study.py`: what most of them are. A folder a chapter; a new experiment is a file there and a row of `EXPERIMENTS`.
"""

import dataclasses
import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from zoo.names import unknown


@dataclasses.dataclass(frozen=True)
class Options:
    """What every experiment can be told."""

    scale: Literal["quick", "paper"] = "quick"
    """quick: minutes on a small machine, with part of the data; paper: as published."""
    workdir: Path | None = None
    """Where runs, table and figure are written; by default runs/experiment-NAME-SCALE."""
    data_dir: str | None = None
    """Where prepared TFDS data sets are, or Planetoid's files."""
    seed: int = 0
    """Decides everything random."""


@dataclasses.dataclass(frozen=True)
class SeededOptions(Options):
    """Options of experiments that train each recipe with several seeds."""

    seeds: int = 0
    """With how many seeds, from --seed on; 0: the experiment's own number."""

    def count(self, own: Mapping[str, int]) -> int:
        """How many seeds: those asked for, or else the experiment's own number at this scale."""
        return self.seeds or own[self.scale]


@dataclasses.dataclass(frozen=True)
class Worded(SeededOptions):
    """Options of experiments with several seeds that know what classes are called."""

    vectors: Path | None = None
    """Word vectors of the classes' names: .npz, or text of GloVe or word2vec."""
    data_set: Literal["cifar10", "cifar100"] | None = None
    """By default cifar10 at quick scale, and cifar100, as published, at paper scale."""

    @property
    def images(self) -> str:
        """The data set's name."""
        return self.data_set or ("cifar10" if self.scale == "quick" else "cifar100")


@dataclasses.dataclass(frozen=True)
class Turning(SeededOptions):
    """Options of experiments on digits that are turned."""

    data_set: Literal["digits", "mnist"] | None = None
    """By default digits at quick scale, which are scikit-learn's, and mnist, as published, at paper scale."""

    @property
    def images(self) -> str:
        """The data set's name."""
        return self.data_set or ("digits" if self.scale == "quick" else "mnist")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What the table of experiments says of one."""

    summary: str
    module: str
    """Has `run(options) -> int`; imported only then, for it needs jax."""
    options: type[Options] = Options


EXPERIMENTS = {
    "residual": Experiment(
        "plain against residual networks of 20 and 56 layers on CIFAR-10 (lecture row L39)",
        "train.experiments.convnets.residual",
    ),
    "units": Experiment(
        "the five residual units in deep networks on CIFAR-10 (lecture row L43)",
        "train.experiments.convnets.units",
    ),
    "cardinality": Experiment(
        "more groups at equal parameters, on CIFAR-10 or the table of ImageNet (lecture rows L44-L46)",
        "train.experiments.convnets.cardinality",
    ),
    "dense": Experiment(
        "dense against residual connections at equal parameters on CIFAR-10 (lecture rows L46, L47)",
        "train.experiments.convnets.dense",
    ),
    "sphere-dims": Experiment(
        "prototypes against one-hot, random and word vectors over output dimensions (lecture row L90)",
        "train.experiments.hyperspheres.dims",
        Worded,
    ),
    "sphere-privileged": Experiment(
        "prototypes with and without privileged information (lecture rows L86, L91)",
        "train.experiments.hyperspheres.privileged",
        Worded,
    ),
    "sphere-imbalance": Experiment(
        "prototypes and other classifiers with 2 to 200 examples a class (lecture rows L89, L92)",
        "train.experiments.hyperspheres.imbalance",
        SeededOptions,
    ),
    "sphere-regression": Experiment(
        "regression on the sphere against squared error (lecture row L93)",
        "train.experiments.hyperspheres.regression",
        SeededOptions,
    ),
    "sphere-joint": Experiment(
        "digit and rotation in one space against two losses (lecture rows L94, L95)",
        "train.experiments.hyperspheres.joint",
        SeededOptions,
    ),
    "sphere-limits": Experiment(
        "output sizes and scales of gradients, with and without a sphere (lecture row L96)",
        "train.experiments.hyperspheres.limits",
    ),
    "generations": Experiment(
        "R-CNN, Fast and Faster R-CNN on scenes: AP, seconds an image, share of proposals (lecture rows L55-L60)",
        "train.experiments.detection.generations",
        SeededOptions,
    ),
    "roi": Experiment(
        "RoIPool against RoIAlign at equal training of Mask R-CNN on scenes (lecture rows L68, L69)",
        "train.experiments.detection.roi",
        SeededOptions,
    ),
    "one-output-or-all": Experiment(
        "one network for depth, normals, reflectance and shading against one for each (lecture rows L63, L64)",
        "train.experiments.dense.one_output_or_all",
        SeededOptions,
    ),
    "fcn": Experiment(
        "FCN-32s, FCN-16s and FCN-8s on scenes: mean IoU, in the whole image and at edges (lecture rows L61, L65)",
        "train.experiments.dense.fcn",
        SeededOptions,
    ),
    "motion": Experiment(
        "one frame, flow, both and a 3D network, where motion or appearance tells classes apart (lecture rows L49-L51)",
        "train.experiments.video.motion",
        SeededOptions,
    ),
    "context": Experiment(
        "a video network on normal videos, without background, without actor, with another actor (lecture row L53)",
        "train.experiments.video.context",
        SeededOptions,
    ),
    "gradients": Experiment(
        "the gradient's norm against time lag in RNN, LSTM and GRU, beside theory (lecture row L73)",
        "train.experiments.sequences.gradients",
        SeededOptions,
    ),
    "memory": Experiment(
        "delayed recall and adding at growing lags with RNN, LSTM and GRU (lecture rows L73, L75)",
        "train.experiments.sequences.memory",
        SeededOptions,
    ),
    "robustness": Experiment(
        "accuracy on adversarial examples against their size, plain and adversarial training (lecture row L97)",
        "train.experiments.frontiers.robustness",
        SeededOptions,
    ),
    "forgetting": Experiment(
        "five tasks one after the other: naive, replay, EWC, LwF and joint learning (lecture row L98)",
        "train.experiments.frontiers.forgetting",
        SeededOptions,
    ),
    "shortcut": Experiment(
        "digits whose colour goes with the class, on other colours, on grey, and without a digit (lecture row L99)",
        "train.experiments.frontiers.shortcut",
        SeededOptions,
    ),
    "rotations": Experiment(
        "upright and turned digits with a plain network and on the group p4 (lecture row L79)",
        "train.experiments.geometric.rotations",
        Turning,
    ),
    "spherical-rotations": Experiment(
        "digits on the sphere, turned in three dimensions, with a plain and a spherical network (lecture row L79)",
        "train.experiments.geometric.sphere_rotations",
        SeededOptions,
    ),
    "nodes": Experiment(
        "what papers are about by GCN, GraphSAGE and GAT, and without citations (lecture row L78)",
        "train.experiments.geometric.nodes",
        SeededOptions,
    ),
    "overview": Experiment(
        "accuracy against operations, parameters and speed of the catalog's networks (lecture row L48)",
        "train.experiments.convnets.overview",
    ),
}


def run(arguments: Sequence[str]) -> int:
    """Runs the experiment that is named first.

    Raises:
      UnknownNameError: there is no such experiment.
    """
    name = arguments[0] if arguments else ""
    if name in ("", "-h", "--help"):
        names = ", ".join(EXPERIMENTS)
        print(f"usage: python -m train experiment NAME [--scale quick|paper] ...\nNAME is one of: {names}")
        return 0 if name else 2
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    import tyro

    options = tyro.cli(
        Annotated[EXPERIMENTS[name].options, tyro.conf.arg(name="")],
        args=list(arguments[1:]),
        prog=f"python -m train experiment {name}",
        description=EXPERIMENTS[name].summary,
    )
    if options.workdir is None:
        options = dataclasses.replace(options, workdir=Path("runs") / f"experiment-{name}-{options.scale}")
    options = dataclasses.replace(options, workdir=Path(os.path.expanduser(options.workdir)))
    return importlib.import_module(EXPERIMENTS[name].module).run(options)
