"""Training on adversarial examples. Lecture row L97."""

import dataclasses
import math
from typing import ClassVar, Literal

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Adversarial(Task):
    """A task of images and labels, learned from and measured on images that projected gradient changed."""

    kind: ClassVar[str] = "adversarial"

    of: str = "classification"
    """The task, with its default settings: any whose loss is a sum over examples, of an image each."""
    norm: Literal["linf", "l2"] = "linf"
    """How large a change of an image is: its largest value, or the root of the sum of their squares."""
    epsilon: float = 0.1
    """How far an image may be changed, where pixels go from 0 to 1."""
    step: float = 0.0
    """How long a step of the attack is; 0: 2.5 times epsilon over the number of steps."""
    steps: int = 5
    """Of the attack in training."""
    eval_steps: int = 10
    """Of the attack in evaluation."""
    share: float = 1.0
    """Of the loss that changed images have; that of the images as they are has the rest."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "of": self.of != self.kind,
            "epsilon": 0 < self.epsilon < math.inf,
            "step": 0 <= self.step < math.inf,
            "steps": 1 <= self.steps <= 100,
            "eval_steps": 1 <= self.eval_steps <= 1000,
            "share": 0 < self.share <= 1,
        }
