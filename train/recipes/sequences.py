"""Images read as sequences: digits row by row, and lines of digits column by column. Lecture rows L71-L76.

python -m train fit digits_rows_lstm
python -m train fit digits_rows_gru              or rnn
python -m train fit digits_rows_slide_rnn        the slides' own cell; or slide_lstm
python -m train fit digits_rows_bilstm           from top to bottom and back
python -m train fit lines_tags                   which digit each column belongs to

What they reach is in the chapter's README.
"""

import dataclasses

from train.config import Data, Model, Optimizer, Recipe, Schedule
from train.config.tasks.tagging import Tagging

_ROWS = Recipe(
    name="digits_rows_lstm",
    model=Model("lstm_rows", options=("hidden_size=64",)),
    data=Data(source="digits", batch_size=64, eval_batch_size=360),
    optimizer=Optimizer("adamw", learning_rate=5e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=30,
    eval_every=5,
    log_every=22,
)


def _of(name: str) -> Recipe:
    """The same recipe for another cell."""
    return dataclasses.replace(_ROWS, name=f"digits_rows_{name}", model=Model(f"{name}_rows", ("hidden_size=64",)))


BIDIRECTIONAL = dataclasses.replace(
    _ROWS, name="digits_rows_bilstm", model=Model("lstm_rows", options=("hidden_size=64", "bidirectional=True"))
)


LINES = Recipe(
    name="lines_tags",
    model=Model("lstm_columns"),
    data=Data(source="lines", batch_size=64, eval_batch_size=200),
    task=Tagging(),
    optimizer=Optimizer("adamw", learning_rate=5e-3, weight_decay=1e-2),
    schedule=Schedule("one_cycle", warmup=0.2),
    epochs=15,
    eval_every=5,
    log_every=31,
)

RECIPES = (_ROWS, *map(_of, ("gru", "rnn", "slide_rnn", "slide_lstm")), BIDIRECTIONAL, LINES)
