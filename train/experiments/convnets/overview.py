"""The overview of ConvNets: accuracy against operations, parameters and measured speed. Lecture row L48.

    python -m train experiment overview                  a network or two of each family
    python -m train experiment overview --scale paper    every network of the catalog with published weights

Drawn as Canziani, Paszke and Culurciello, 2016, An Analysis of Deep Neural Network Models for Practical Applications.
Accuracies are those stated with the first weights that were published (`zoo.pretrained`); operations are counted by
XLA (`zoo.flops`); images a second are measured here, with one central crop of each network's own size.
"""

import json
import math
import re
from typing import Any

import zoo
from train.engine.console import Console
from train.experiments import Options
from train.experiments.study import conclude
from train.report.theme import COLOURS, LIGHT, labels, legend, new_figure, style
from train.store.files import write_json
from zoo.benchmark import benchmark

QUICK = (
    "alexnet",
    "vgg16",
    "googlenet",
    "squeezenet1_1",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "densenet121",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "mnasnet1_0",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext_tiny",
    "swin_t",
)
BATCH, ROUNDS = 8, 5

Row = dict[str, float]
"""Of a network: "top1" in percent, "parameters", "flops" of an image, "images_per_second", "compile_seconds"."""


def names_of(options: Options) -> tuple[str, ...]:
    """Which networks."""
    if options.scale == "quick":
        return QUICK
    published = ((name, zoo.describe(name).pretrained) for name in zoo.list_models(task="classification"))
    return tuple(name for name, files in published if files and files[0].classes == "imagenet")


def run(options: Options) -> int:
    """Counts and measures the networks, one after the other, and writes table and figure.

    A second call measures only those that the first did not come to.

    Returns:
      0 when all claims hold, else 1.
    """
    console, rows = Console(), {}
    options.workdir.mkdir(parents=True, exist_ok=True)
    for name in names_of(options):
        file = options.workdir / f"{name}.json"
        if file.exists():
            console.say(f"{name}: measured before")
        else:
            with console.timed(f"measuring {name}"):
                write_json(file, measure(name))
        rows[name] = json.loads(file.read_text())
    return conclude("overview", options.workdir, rows, claims(rows), table(rows), figure(rows), console)


def measure(name: str) -> Row:
    """What the table says of a network."""
    found = benchmark(name, BATCH, rounds=ROUNDS)
    return {
        "top1": zoo.pretrained(name).top1,
        "parameters": found.parameters,
        "flops": found.flops,
        "images_per_second": found.inference.examples_per_second(BATCH),
        "compile_seconds": found.inference.compile_seconds,
    }


def claims(rows: dict[str, Row]) -> dict[str, bool]:
    """What the overview shows, each True or False of these rows."""

    def compared(one: str, other: str, parameters: float, flops: float) -> bool:
        a, b = rows[one], rows[other]
        fewer = a["parameters"] <= parameters * b["parameters"] and a["flops"] <= flops * b["flops"]
        return fewer and a["top1"] > b["top1"]

    rates = [row["flops"] * row["images_per_second"] for row in rows.values()]
    return {
        "GoogLeNet beats AlexNet with an eighth of the parameters": rows["googlenet"]["parameters"]
        <= rows["alexnet"]["parameters"] / 8
        and rows["googlenet"]["top1"] > rows["alexnet"]["top1"],
        "ResNet-50 beats VGG-16 with a fifth of the parameters and a third of the operations": compared(
            "resnet50", "vgg16", 1 / 5, 1 / 3
        ),
        "EfficientNet-B0 beats ResNet-50 with a quarter of the parameters and an eighth of the operations": compared(
            "efficientnet_b0", "resnet50", 1 / 4, 1 / 8
        ),
        "operations alone do not tell the speed: those a second differ by half and more": max(rates)
        >= 1.5 * min(rates),
    }


def table(rows: dict[str, Row]) -> str:
    """The networks by accuracy, as a Markdown table."""
    lines = [
        "| network | published top-1 | parameters (million) | GFLOPs an image | images a second | compiled in |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["top1"]):
        lines.append(
            f"| {name} | {row['top1']:.2f} % | {row['parameters'] / 1e6:.1f} | {row['flops'] / 1e9:.2f} "
            f"| {row['images_per_second']:.1f} | {row['compile_seconds']:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def family_of(name: str) -> str:
    """The name without its size.

    >>> family_of("resnext50_32x4d"), family_of("efficientnet_b0"), family_of("vgg16")
    ('resnext', 'efficientnet', 'vgg')
    """
    return re.match(r"[a-z]+(_resnet)?", name)[0]


def figure(rows: dict[str, Row]) -> Any:
    """Accuracy against operations, left, and against speed, right; areas are as the parameters."""
    drawing = new_figure(13, 6, LIGHT)
    panels = drawing.subplots(1, 2, sharey=True)
    families = dict.fromkeys(map(family_of, rows))
    colour = {family: COLOURS[i % len(COLOURS)] for i, family in enumerate(families)}
    axes = (
        ("flops", 1e9, "GFLOPs an image (a multiply-add is two)"),
        ("images_per_second", 1, "images a second, here"),
    )
    for panel, (key, unit, label) in zip(panels, axes, strict=True):
        named: list[tuple[float, float]] = []
        for name, row in rows.items():
            place, area = (row[key] / unit, row["top1"]), 6 * row["parameters"] / 1e6
            panel.scatter(*place, s=area, color=colour[family_of(name)], alpha=0.55, linewidth=0)
            close = any(abs(math.log(x / place[0])) < 0.7 and abs(y - place[1]) < 0.8 for x, y in named)
            below = {"xytext": (-3, -9), "ha": "right"} if close else {"xytext": (3, 3)}
            panel.annotate(name, place, textcoords="offset points", fontsize=7, **below)
            named += [] if close else [place]
        panel.set_xscale("log")
        panel.margins(0.12)
        style(panel)
        labels(panel, x=label, y="published top-1 accuracy on ImageNet (%)" if panel is panels[0] else "")
    for millions in (5, 25, 100):
        panels[0].scatter([], [], s=6 * millions, color="#7f7f7f", alpha=0.55, linewidth=0, label=f"{millions} million")
    legend(panels[0], title="parameters", loc="lower right", labelspacing=1.6, borderpad=1.2)
    return drawing
