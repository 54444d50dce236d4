"""The degradation experiment: plain networks get worse with depth, residual ones do not. Lecture row L39.

    python -m train experiment residual                  part of the data, for a small machine
    python -m train experiment residual --scale paper    64k steps of all of it, as published

He, Zhang, Ren and Sun, 2016, Deep Residual Learning for Image Recognition, Figures 1 and 6 and Table 6. The
claim is about *training* loss: were deeper networks only overfitting, theirs would be lower.

Measured at quick scale, seed 0, in 25 minutes on 2 cores of a CPU:

| network | training loss | training error | test error |
|---|--:|--:|--:|
| plain-20 | 0.308 | 5.6 % | 62.4 % |
| plain-56 | 1.893 | 70.9 % | 77.6 % |
| ResNet-20 | 0.011 | 0.0 % | 58.0 % |
| ResNet-56 | 0.009 | 0.0 % | 60.1 % |
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from train import journal
from train.console import Console
from train.data.augment import Augment
from train.experiments import Options
from train.files import write_json
from train.loop import fit
from train.recipe import Data, Model, Optimizer, Recipe, Schedule
from train.recipes import cifar10
from train.workdir import Workdir

ARMS = {
    "plain-20": "cifar_plain20",
    "plain-56": "cifar_plain56",
    "ResNet-20": "cifar_resnet20",
    "ResNet-56": "cifar_resnet56",
}
"""The four networks: the name in the table, and in the catalog."""

PAPER_TEST_ERROR = {
    "plain-20": "9 to 10 % (Figure 1)",
    "plain-56": "about 13 % (Figure 1)",
    "ResNet-20": "8.75 %",
    "ResNet-56": "6.97 %",
}
"""Table 6 of the paper, and what can be read off the figure that the lecture shows of the plain networks."""

QUICK = Recipe(
    name="residual-quick",
    data=Data(source="tfds:cifar10", limit=640, batch_size=32, eval_batch_size=1000),
    augment=Augment(flip=True, mean=cifar10.AUGMENT.mean, std=cifar10.AUGMENT.std),
    optimizer=Optimizer(learning_rate=0.03, nesterov=True, weight_decay=1e-4),
    schedule=Schedule("cosine", warmup=0.1),
    epochs=40,
    eval_every=40,
    log_every=20,
)
"""800 steps on 640 images and their mirror images: enough to learn them by heart, which only a network that can
be optimised does. A deep network starts slower: ResNet-56 is behind ResNet-20 until about step 650."""

PAPER = cifar10.PAPER


def recipe_of(arm: str, options: Options) -> Recipe:
    """One network's recipe: they differ in the model alone."""
    base = QUICK if options.scale == "quick" else PAPER
    return dataclasses.replace(
        base,
        name=f"residual-{options.scale}-{arm}",
        model=Model(ARMS[arm]),
        data=dataclasses.replace(base.data, data_dir=options.data_dir),
        seed=options.seed,
    )


def run(options: Options) -> int:
    """Trains the four networks, one after the other, and writes table and figure.

    A second call goes on where the first was interrupted, and does not repeat what is finished.

    Returns:
      0 when degradation shows and residual connections remove it, 1 when not, 130 when interrupted.
    """
    console = Console()
    for arm in ARMS:
        files, recipe = Workdir(options.workdir / arm), recipe_of(arm, options)
        if files.finished and files.read_recipe() == recipe:
            console.say(f"{arm}: finished before")
            continue
        console.say(arm, style="bold")
        outcome = fit(recipe, files.path, resume=files.card.exists() and files.read_recipe() == recipe)
        if outcome.fingerprint is None:
            return outcome.exit_code or 1  # a signal of the system ends a run with 0
    results = {arm: result(options.workdir / arm) for arm in ARMS}
    shown = verdict(results)
    write_json(options.workdir / "residual.json", {"results": results, "holds": shown})
    (options.workdir / "residual.md").write_text(table(results))
    figure(options.workdir).savefig(options.workdir / "residual.png", dpi=150)
    console.say(table(results))
    for claim, holds in shown.items():
        console.say(f"{'yes' if holds else 'NO '}  {claim}")
    console.say(f"figure: {options.workdir / 'residual.png'}")
    return 0 if all(shown.values()) else 1


def result(path: Path) -> dict[str, float]:
    """Training loss and accuracy over a run's last epoch, and its final test accuracy."""
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
        "parameters": card["model"]["parameters"],
        "seconds": json.loads(files.fingerprint.read_text())["seconds"],
    }


def verdict(results: dict[str, dict[str, float]]) -> dict[str, bool]:
    """The lecture's statements, each True or False of these results."""
    loss = {arm: values["train_loss"] for arm, values in results.items()}
    test_error = {arm: values["test_error"] for arm, values in results.items()}
    return {
        "plain-56 has the higher training loss than plain-20": loss["plain-56"] > loss["plain-20"],
        "plain-56 has the higher test error, too": test_error["plain-56"] > test_error["plain-20"],
        "ResNet-56 has no higher training loss than ResNet-20": loss["ResNet-56"] <= loss["ResNet-20"],
    }


def table(results: dict[str, dict[str, float]]) -> str:
    """The results as a Markdown table, the paper's numbers beside ours."""
    lines = [
        "| network | parameters | training loss | training error | test error | paper's test error |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for arm, values in results.items():
        lines.append(
            f"| {arm} | {values['parameters']:,} | {values['train_loss']:.3f} | {100 * values['train_error']:.1f} % "
            f"| {100 * values['test_error']:.1f} % | {PAPER_TEST_ERROR[arm]} |"
        )
    return "\n".join(lines) + "\n"


def figure(workdir: Path) -> Any:
    """Training loss of the four networks against steps: plain ones left, residual ones right."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(9, 3.6), layout="constrained")
    panels = drawing.subplots(1, 2, sharey=True)
    for arm in ARMS:
        panel = panels[0 if arm.startswith("plain") else 1]
        records = [r for r in journal.read(Workdir(workdir / arm).metrics) if r["kind"] == "train"]
        deep = arm.endswith("56")
        panel.plot(
            [r["step"] for r in records],
            [r["loss"] for r in records],
            label=arm,
            color="#d55e00" if deep else "#0072b2",
            linewidth=1.8 if deep else 1.2,
        )
    for panel, title in zip(panels, ("plain", "residual"), strict=True):
        panel.set(title=title, xlabel="step", ylabel="training loss" if title == "plain" else "")
        panel.legend(frameon=False)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    return drawing
