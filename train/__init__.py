"""Trains the models of `zoo`: recipes, data, steps, checkpoints, reports. Run it as `python -m train`, or from Python:

    import train
    outcome = train.fit(train.recipe("digits_mlp", {"optimizer.learning_rate": 3e-3}, epochs=5))
    outcome.metrics, outcome.workdir

Nothing is imported before somebody asks for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors; nothing of it is imported when the program runs
    from train.notebook.choose import recipe
    from train.notebook.runs import Outcome, fit, resume

_PUBLIC = {
    "Outcome": "train.notebook.runs",
    "fit": "train.notebook.runs",
    "recipe": "train.notebook.choose",
    "resume": "train.notebook.runs",
}
"""The public names, and where each is."""

__all__ = ["Outcome", "fit", "recipe", "resume"]


def __getattr__(name: str):
    if name in _PUBLIC:
        import importlib

        found = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = found  # from now on as if it had been imported
        return found
    raise AttributeError(f"module 'train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_PUBLIC]
