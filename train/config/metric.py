"""What a number that a run reports means: its title, its unit, and which direction is better."""

from typing import NamedTuple


class Metric(NamedTuple):
    """One number of an evaluation."""

    name: str
    """In metrics.jsonl and checkpoints."""
    title: str
    """What a person reads."""
    unit: str = ""
    """Such as degrees; empty where there is none."""
    percent: bool = False
    """Whether it is a share, shown in percent."""
    higher_is_better: bool = True


LOSS = Metric("loss", "Loss", higher_is_better=False)
"""What training minimises; every task has it."""


def shown(metric: Metric, value: float) -> str:
    """The value as a person reads it.

    >>> shown(Metric("accuracy", "Accuracy", percent=True), 0.98161), shown(LOSS, 0.51234)
    ('98.16 %', '0.512')
    >>> shown(Metric("mae", "Mean absolute error", unit="degrees"), 5.761)
    '5.76 degrees'
    """
    if metric.percent:
        return f"{100 * value:.2f} %"
    return f"{value:.3g} {metric.unit}".rstrip()
