"""What a finished run leaves: weights, a fingerprint, a report, and a table for the person who waited."""

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

import zoo
from train.config import Recipe
from train.data import Kind
from train.data.decode import encoded
from train.engine import hosts
from train.engine.assemble import Assembly
from train.engine.console import Console
from train.engine.evaluator import Evaluator
from train.engine.progress import Progress
from train.engine.state import TrainState, fingerprint
from train.store import journal
from train.store.files import finite, write_bytes, write_json
from train.store.workdir import Workdir
from zoo.features import first_kernel


def write_results(
    files: Workdir, assembly: Assembly, evaluator: Evaluator, state: TrainState, progress: Progress, console: Console
) -> str:
    """Writes all of them, the report last, and returns the fingerprint of the final variables."""
    portable = assembly.placement.to_portable(state)
    variables, average = hosts.whole(portable.variables()), hosts.whole(portable.ema)
    digest = fingerprint(variables)
    result: dict[str, Any] = {"fingerprint": digest, "step": progress.step, "seconds": progress.seconds}
    result |= {"metrics": progress.metrics}
    example = assembly.test.read([0])

    def write_variables() -> None:
        zoo.save_weights(variables, files.weights)
        if average is not None:
            zoo.save_weights(average, files.average_weights)
        write_json(files.fingerprint, finite(result))
        if shows_pictures(assembly):
            write_bytes(files.example, encoded(example["image"][0]))

    hosts.first_does(write_variables)
    with console.timed("writing the report"):
        write_report(files, evaluator, state, result, first_kernel(assembly.model, variables, *assembly.inputs))
    console.table(f"{assembly.recipe.name}: {progress.step} steps", _summary(files, assembly.recipe, progress, console))
    return digest


def shows_pictures(assembly: Assembly) -> bool:
    """Whether the model is given pictures, so that `predict` can read one."""
    kinds = {name: field.kind for name, field in assembly.test.spec.items()}
    return all(kinds.get(name) == Kind.IMAGE for name in ("image", *assembly.task.frames))


def write_report(
    files: Workdir,
    evaluator: Evaluator,
    state: TrainState,
    result: Mapping[str, Any],
    filters: np.ndarray | None,
) -> None:
    """Writes the page about the run, and its figures beside it; the page appears last."""
    from train import report  # draws; imported once there is something to draw

    page, followed = evaluator.page(state), evaluator.followed()

    def write() -> None:
        run = report.Run(
            path=files.path,
            card=files.read_card(),
            fingerprint=result,
            records=journal.ordered(files.metrics),
            notes=(),
            seen=files.read_seen(),
            followed=followed,
        )
        for name, content in report.render(run, page.results(run), filters).items():
            write_bytes(files.path / name, content)

    hosts.first_does(write)


def _summary(files: Workdir, recipe: Recipe, progress: Progress, console: Console) -> list[tuple[str, str]]:
    rows = [
        ("validation" if recipe.data.validation else "test", console.describe(progress.metrics)),
        ("time", f"{progress.seconds:.0f} s"),
    ]
    if progress.skipped:
        rows.append(("skipped", f"{progress.skipped} updates that were not finite"))
    rows += [("report", str(files.report)), ("weights", str(files.weights))]
    if files.example.exists():
        command = ["python", "-m", "train", "predict", str(files.path), str(files.example)]
        rows.append(("predict", shlex.join(command)))
    return rows
