"""What a recipe says of its task: the base of all settings, and THE table of tasks, a row a task."""

import dataclasses
import importlib
from typing import ClassVar, NamedTuple

from train.config.base import Config
from zoo.names import unknown


@dataclasses.dataclass(frozen=True)
class Task(Config):
    """Settings of a task, in a class of its own for each; `kind` chooses it, on the command line and in a file."""

    section: ClassVar[str] = "task"
    kind: ClassVar[str] = ""


class Kind(NamedTuple):
    """Where a task is, as "module:Class"; imported when a recipe asks for it."""

    settings: str
    """Its settings, a `Task` of this module."""
    task: str
    """What is done with them, see `train.tasks.protocol`."""


def _kind(module: str, settings: str, folder: str, task: str | None = None) -> Kind:
    return Kind(f"train.config.tasks.{module}:{settings}", f"train.tasks.{folder}.task:{task or settings}")


KINDS = {
    "classification": _kind("classification", "Classification", "classification"),
    "regression": _kind("regression", "Regression", "regression"),
    "joint": _kind("regression", "Joint", "joint"),
    "sphere_classification": _kind("sphere", "SphereClassification", "sphere"),
    "sphere_regression": _kind("sphere", "SphereRegression", "sphere"),
    "sphere_joint": _kind("sphere", "SphereJoint", "sphere"),
    "max_separation": _kind("angles", "MaxSeparation", "max_separation"),
    "cosface": _kind("angles", "CosFace", "margins", "AngularMargin"),
    "arcface": _kind("angles", "ArcFace", "margins", "AngularMargin"),
    "sphereface": _kind("angles", "SphereFace", "margins", "AngularMargin"),
    "class_means": _kind("angles", "ClassMeans", "class_means"),
    "segmentation": _kind("segmentation", "Segmentation", "segmentation"),
    "surfaces": _kind("surfaces", "Surfaces", "surfaces"),
    "detection": _kind("detection", "Detection", "detection"),
    "tagging": _kind("tagging", "Tagging", "tagging"),
    "flow": _kind("flow", "Flow", "flow", "OpticalFlow"),
    "video_classification": _kind("video", "VideoClassification", "video"),
    "video_regression": _kind("video", "VideoRegression", "video"),
    "point_classification": _kind("points", "PointClassification", "points"),
    "captioning": _kind("captioning", "Captioning", "captioning"),
    "adversarial": _kind("adversarial", "Adversarial", "adversarial"),
    "gan": _kind("gan", "Gan", "gan"),
    "node_classification": _kind("graphs", "NodeClassification", "nodes"),
    "graph_classification": _kind("graphs", "GraphClassification", "graphs"),
}
"""Every task. A chapter adds a row, a file of settings and a folder of `train.tasks`, and changes nothing else."""


def settings_of(kind: str) -> type[Task]:
    """The class of a task's settings.

    Raises:
      UnknownNameError: there is no such task; the message names the nearest.

    >>> settings_of("regression")().standardise
    True
    """
    return _found(_row(kind).settings)


def task_of(kind: str) -> type:
    """The class of a task, which `train.tasks.protocol` describes.

    Raises:
      UnknownNameError: there is no such task.
    """
    return _found(_row(kind).task)


def _row(kind: str) -> Kind:
    if kind not in KINDS:
        raise unknown("task", kind, KINDS)
    return KINDS[kind]


def _found(place: str) -> type:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
