"""For notebooks, and for any program that trains from Python: what the command line does, as functions.

- `choose.py`: `train.recipe`, a named recipe with some fields changed;
- `runs.py`: `train.fit` and `train.resume`, and the `Outcome` that they return and a notebook shows;
- `begin.py`: `notebook.start`, with which the lecture's notebooks begin: devices, and how much to compute on them.

    from train import notebook
    scale = notebook.start()
    epochs = scale.pick(2, 40)
"""

from train.notebook.begin import Scale, start

__all__ = ["Scale", "start"]
