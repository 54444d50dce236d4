"""The engine: one training loop for every task and model. It knows no task by name.

Read in this order:

- `loop.py`: the course of a run, from claiming its folder to its report;
- `assemble.py`: from a recipe to sources, task, model, optimiser and programs;
- `step.py`: one update, one evaluation, one prediction, as pure functions of `state.py`'s state;
- `network.py`: the recipe's model with what the task has on top;
- `placement.py` and `feed.py`: where arrays live, and how batches reach the step;
- `evaluator.py` and `held_out.py`, `meter.py`, `progress.py`, `finish.py`: what is measured, said and left behind;
- `optim.py`, `transfer.py`: optimisers, schedules, frozen layers;
  `seeds.py`, `side_by_side.py`, `trained.py`: many seeds of a recipe;
- `hosts.py`, `interrupt.py`, `console.py`: other processes, signals, a person.

In comes a `train.config.Recipe`; out comes a folder of `train.store`.
"""
