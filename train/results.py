"""What a finished run leaves: weights, a fingerprint, a report, and a table for the person who waited."""

import shlex
from typing import Any

import jax

import zoo
from train.assemble import Assembly
from train.console import Console, describe
from train.data.images import encoded
from train.evaluation import Evaluator, first_kernel
from train.files import write_bytes, write_json
from train.progress import Progress
from train.sphere import on_the_sphere
from train.state import TrainState, fingerprint
from train.workdir import Workdir


def write_results(
    files: Workdir, assembly: Assembly, evaluator: Evaluator, state: TrainState, progress: Progress, console: Console
) -> str:
    """Writes all of them, the report last, and returns the fingerprint of the final variables."""
    from train.report import write_report  # draws; imported once there is something to draw

    portable = assembly.placement.to_portable(state)
    variables = jax.device_get(portable.variables())
    zoo.save_weights(variables, files.weights)
    if portable.ema is not None:
        zoo.save_weights(jax.device_get(portable.ema), files.average_weights)
    digest = fingerprint(variables)
    result: dict[str, Any] = {"fingerprint": digest, "step": progress.step, "seconds": progress.seconds}
    write_json(files.fingerprint, result | {"metrics": progress.metrics})
    with console.timed("writing the report"):
        predictions = evaluator.predictions(state)
        write_bytes(files.example, encoded(predictions[0].images[0]))
        write_report(files.path, predictions, first_kernel(variables["params"]), on_the_sphere(files, assembly))
    rows = [("test", describe(progress.metrics)), ("time", f"{progress.seconds:.0f} s")]
    if progress.skipped:
        rows.append(("skipped", f"{progress.skipped} updates that were not finite"))
    rows += [("report", str(files.report)), ("weights", str(files.weights))]
    rows.append(("predict", shlex.join(["python", "-m", "train", "predict", str(files.path), str(files.example)])))
    console.table(f"{assembly.recipe.name}: {progress.step} steps", rows)
    return digest
