"""Sweeps: a recipe trained with many hyperparameters, chosen by Optuna, and a page about them. Lecture row L18.

- `search.py`: which fields are searched, and where; read it first;
- `trials.py`: Optuna's side of it, trials in a database that several processes share;
- `sampler.py`: what a trial draws;
- `sweep_folder.py`: a sweep's folder, and which processes are at work in it;
- `sweep.py`: the course of a sweep, from trial to trial;
- `at_once.py`: learning rates that train side by side, as the trials of a sweep;
- `commands.py`: the command that trains a recipe; `drawing.py` and `page.py`: the report.

The engine knows nothing of this: a run tells of its evaluations, and is asked to stop (`train.engine.loop.Watch`).
"""
