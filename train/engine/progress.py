"""What the loop remembers beside the training state; every checkpoint holds it."""

import dataclasses
import math
from typing import Any

from train.store.files import measured


@dataclasses.dataclass
class Progress:
    """How far a run came, and its best result so far."""

    step: int = 0
    """Training steps done."""
    evaluated_at: int = 0
    """The step of the last evaluation."""
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    """What it gave."""
    best: float | None = None
    """The best value so far of the metric that ranks checkpoints."""
    evaluations_since_best: int = 0
    """How many evaluations since then were no better."""
    skipped: int = 0
    """Updates skipped because they were not finite."""
    seconds: float = 0.0
    """Time spent, over all resumptions."""

    def note_evaluation(self, metrics: dict[str, float], value: float, higher_is_better: bool) -> bool:
        """Notes an evaluation at this step; returns whether `value`, one of its metrics, is the best so far."""
        self.evaluated_at, self.metrics = self.step, metrics
        ahead = self.best is None or (value > self.best if higher_is_better else value < self.best)
        better = ahead and math.isfinite(value)
        self.best = value if better else self.best
        self.evaluations_since_best = 0 if better else self.evaluations_since_best + 1
        return better

    def dump(self) -> dict[str, Any]:
        """As json can write it."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, values: dict[str, Any]) -> "Progress":
        """What `dump` gave, also after a journey through json, where nan is None."""
        return cls(**{**values, "metrics": measured(values.get("metrics") or {})})
