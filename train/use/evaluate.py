"""Measures a run again, on the whole held-out split."""

from pathlib import Path

from train.engine.assemble import assemble
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.store.workdir import Workdir
from train.use.open_run import load_variables


def evaluate_run(path: Path, best: bool = False, console: Console | None = None) -> dict[str, float]:
    """The metrics of a run's last (or best) checkpoint on the whole held-out split; also prints them.

    Raises:
      WorkdirError: there is no run here.
      CheckpointError: it has no checkpoint, or none that can be read.
    """
    files, console = Workdir(path), console or Console()
    assembly = assemble(files.read_recipe(), files.read_fitted())
    console.learn(assembly.task.metrics)
    step, variables, ema = load_variables(files, assembly.task, best)
    replicate = assembly.placement.replicate
    summary = Evaluator(assembly).of_variables(replicate(variables), None if ema is None else replicate(ema))
    rows = [(name.replace("_", " "), console.quantity(name, value)) for name, value in summary.items()]
    console.table(f"{path}, step {step}, {len(assembly.test)} held-out examples", rows)
    return summary
