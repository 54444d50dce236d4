"""The report of a finished run: one page that a person opens, and its figures as PNGs. It knows no task.

A task's page gives `Results`, made of `sections`, `blocks` and `figures`; `render` puts the run around them. `sample`
keeps a few of many examples, `picture` draws one prediction, `theme` is how all figures look.
"""

from train.report.render import render
from train.report.results import Results, together
from train.report.run import Run

__all__ = ["Results", "Run", "render", "together"]
