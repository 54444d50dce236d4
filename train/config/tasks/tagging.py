"""A class at every step of a sequence."""

import dataclasses
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Tagging(Task):
    """Softmax cross entropy of each step, the mean over all that have a class."""

    kind: ClassVar[str] = "tagging"
