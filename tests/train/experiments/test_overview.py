"""The overview of networks: what is counted and measured, and what is concluded of it."""

import jax
import jax.numpy as jnp
import pytest

import zoo
from train.experiments import Options
from train.experiments.convnets import overview

GIGA = {
    "alexnet": (61.1, 1.43, 56.52),
    "vgg16": (138.4, 30.9, 71.59),
    "googlenet": (6.6, 3.0, 69.78),
    "resnet50": (25.6, 8.2, 76.13),
    "efficientnet_b0": (5.3, 0.77, 77.69),
}
"""Million parameters, twice torchvision's GFLOPs (it counts a multiply-add once), top-1."""


def rows_of(speeds):
    return {
        name: {
            "top1": top1,
            "parameters": int(1e6 * millions),
            "flops": 1e9 * giga,
            "images_per_second": speed,
            "compile_seconds": 2.0,
        }
        for (name, (millions, giga, top1)), speed in zip(GIGA.items(), speeds, strict=True)
    }


def test_the_overview_holds_with_torchvisions_numbers():
    assert list(overview.claims(rows_of((200, 5, 40, 20, 15))).values()) == [True] * 4
    equal = [1e2 / giga for _, giga, _ in GIGA.values()]
    assert list(overview.claims(rows_of(equal)).values()) == [True, True, True, False]
    worse = rows_of((200, 5, 40, 20, 15))
    worse["resnet50"]["top1"], worse["googlenet"]["parameters"] = 70.0, 8e6
    assert list(overview.claims(worse).values()) == [False, False, True, True]


def test_a_network_is_counted_and_measured(monkeypatch):
    monkeypatch.setattr(zoo, "pretrained", lambda name: zoo.catalog.pretrained.table()["resnet50"][0], raising=False)
    row = overview.measure("squeezenet_tiny")
    model, images = zoo.create("squeezenet_tiny"), jnp.zeros((1, *zoo.describe("squeezenet_tiny").input_shape))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    assert row["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert row["top1"] == 76.13
    assert row["flops"] > 2 * row["parameters"]  # each weight is used at several places
    assert row["images_per_second"] > 0


def test_the_overview_writes_each_network_down_and_measures_none_twice(tmp_path, monkeypatch, capsys):
    rows, measured = rows_of((200, 5, 40, 20, 15)), []

    def measure(name):
        measured.append(name)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return rows[name]

    monkeypatch.setattr(overview, "QUICK", tuple(GIGA))
    monkeypatch.setattr(overview, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        overview.run(Options(workdir=tmp_path / "out"))
    assert overview.run(Options(workdir=tmp_path / "out")) == 0
    assert measured == [*list(GIGA)[:3], *list(GIGA)[2:]]
    table = (tmp_path / "out" / "overview.md").read_text().splitlines()
    assert [line.split(" ")[1] for line in table[2:]] == [
        "alexnet",
        "googlenet",
        "vgg16",
        "resnet50",
        "efficientnet_b0",
    ]
    assert (tmp_path / "out" / "overview.png").stat().st_size > 10_000
    assert "measured before" in capsys.readouterr().out


def test_the_overview_has_the_published_networks_of_the_catalog():
    names = overview.names_of(Options(scale="paper"))
    assert set(overview.QUICK) <= set(names)
    assert len(names) > 70
    assert all(zoo.pretrained(name).classes == "imagenet" for name in names)
