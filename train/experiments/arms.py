"""What experiments that compare trained networks share: running them one after another, table, figure, verdict."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train import journal
from train.console import Console
from train.experiments import Options
from train.files import write_json
from train.loop import fit
from train.recipe import Model, Recipe
from train.workdir import Workdir

Results = dict[str, dict[str, float]]
"""Of each network: "train_loss", "train_error", "test_error", "parameters", "seconds", of many classes "top5_error"."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c564b", "#7f7f7f", "#bcbd22")


def variations(experiment: str, base: Recipe, models: Mapping[str, Model], options: Options) -> dict[str, Recipe]:
    """A recipe for each network, by its name in the table: they differ in the model alone."""
    return {
        arm: dataclasses.replace(
            base,
            name=f"{experiment}-{options.scale}-{arm}",
            model=model,
            data=dataclasses.replace(base.data, data_dir=options.data_dir),
            seed=options.seed,
        )
        for arm, model in models.items()
    }


def figure(workdir: Path, results: Results) -> Any:
    """Training loss against steps, left; test errors as bars, right."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(10, 0.35 * len(results) + 2.4), layout="constrained")
    curves, bars = drawing.subplots(1, 2, width_ratios=(3, 2))
    for arm, colour in zip(results, COLOURS, strict=False):
        records = [r for r in journal.read(Workdir(workdir / arm).metrics) if r["kind"] == "train"]
        curves.plot([r["step"] for r in records], [r["loss"] for r in records], label=arm, color=colour, linewidth=1.3)
    losses = [loss for line in curves.lines for loss in line.get_ydata()]
    curves.set(xlabel="step", ylabel="training loss", ylim=(0, 1.1 * np.quantile(losses, 0.95)))  # not the first peaks
    curves.legend(frameon=False, fontsize="small")
    curves.grid(alpha=0.25)
    errors = [100 * values["test_error"] for values in results.values()]
    drawn = bars.barh(list(results), errors, color=COLOURS[: len(results)], height=0.65)
    bars.bar_label(drawn, fmt=" %.1f %%", fontsize="small")
    bars.invert_yaxis()
    bars.set(xlabel="test error (%)", xlim=(0, 1.2 * max(errors) or 1))
    for panel in (curves, bars):
        panel.spines[["top", "right"]].set_visible(False)
    return drawing


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Networks that are trained alike, and what is said of them."""

    name: str
    """The experiment's."""
    recipes: Mapping[str, Recipe]
    """How each network is trained, by its name in the table."""
    published: Mapping[str, str]
    """What the paper says of each one's test error."""
    verdict: Callable[[Results], dict[str, bool]]
    """The claims, each True or False of some results."""
    figure: Callable[[Path, Results], Any] = figure
    """Draws the runs in a folder and their results."""


def compare(comparison: Comparison, workdir: Path) -> int:
    """Trains the networks one after the other, and writes table and figure.

    A second call goes on where the first was interrupted, and does not repeat what is finished.

    Returns:
      0 when every claim holds, 1 when not, 130 when interrupted.
    """
    console = Console()
    for arm, recipe in comparison.recipes.items():
        files = Workdir(workdir / arm)
        begun = files.card.exists() and files.read_recipe() == recipe
        if begun and files.finished:
            console.say(f"{arm}: finished before")
            continue
        console.say(arm, style="bold")
        outcome = fit(recipe, files.path, resume=begun)
        if outcome.fingerprint is None:
            return outcome.exit_code or 1  # a signal of the system ends a run with 0
    results = {arm: result_of(workdir / arm) for arm in comparison.recipes}
    lines, drawing = table(results, comparison.published), comparison.figure(workdir, results)
    return conclude(comparison.name, workdir, results, comparison.verdict(results), lines, drawing, console)


def conclude(
    name: str,
    workdir: Path,
    results: Mapping[str, Any],
    claims: Mapping[str, bool],
    lines: str,
    drawing: Any,
    console: Console,
) -> int:
    """Writes an experiment's numbers, table and figure, and says which claims hold.

    Returns:
      0 when all do, else 1.
    """
    write_json(workdir / f"{name}.json", {"results": results, "holds": claims})
    (workdir / f"{name}.md").write_text(lines)
    drawing.savefig(workdir / f"{name}.png", dpi=150)
    console.say(lines)
    for claim, holds in claims.items():
        console.say(f"{'yes' if holds else 'NO '}  {claim}")
    console.say(f"figure: {workdir / f'{name}.png'}")
    return 0 if all(claims.values()) else 1


def result_of(path: Path) -> dict[str, float]:
    """Training loss and error over a run's last epoch, and its final test error, the top-5 one too if there is one."""
    files = Workdir(path)
    card, records = files.read_card(), journal.read(files.metrics)
    training = [record for record in records if record["kind"] == "train"]
    after = card["total_steps"] - card["steps_per_epoch"]
    weighted = [
        (record, record["step"] - before["step"])
        for before, record in zip([{"step": 0}, *training], training, strict=False)
        if record["step"] > after
    ]
    steps = sum(count for _, count in weighted)
    test = [record for record in records if record["kind"] == "eval"][-1]
    return {
        "train_loss": sum(record["loss"] * count for record, count in weighted) / steps,
        "train_error": 1 - sum(record["accuracy"] * count for record, count in weighted) / steps,
        "test_error": 1 - test["accuracy"],
        **({"top5_error": 1 - test["top5"]} if "top5" in test else {}),
        "parameters": card["model"]["parameters"],
        "seconds": json.loads(files.fingerprint.read_text())["seconds"],
    }


def table(results: Results, published: Mapping[str, str]) -> str:
    """The results as a Markdown table, the paper's numbers beside ours."""
    lines = [
        "| network | parameters | training loss | training error | test error | paper's test error |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for arm, values in results.items():
        test = " / ".join(f"{100 * values[name]:.1f}" for name in ("test_error", "top5_error") if name in values)
        lines.append(
            f"| {arm} | {values['parameters']:,} | {values['train_loss']:.3f} | {100 * values['train_error']:.1f} % "
            f"| {test} % | {published.get(arm, '')} |"
        )
    return "\n".join(lines) + "\n"
