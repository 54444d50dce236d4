"""The guides' code runs, as it stands there, and does what the text beside it says."""

import re
import shlex
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import train.config.task
import train.data.sources
import zoo.catalog
from tests.train import harness
from train import cli
from train.config import Data
from train.data.sources import load
from train.engine.loop import Outcome
from zoo.__main__ import main as zoo_main

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "pages" / "guides"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the blocks of a guide one after the other, in a folder of their own; gives the names that they made.

    A block with a title is a file, which others import. Tables that a block adds to are as before afterwards.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(train.config.task, "KINDS", train.config.task.KINDS.copy())
    monkeypatch.setattr(train.data.sources, "SOURCES", train.data.sources.SOURCES.copy())

    def blocks(name, report=False):
        names = {}
        if not report:  # it is drawn for as long as some of these runs take
            monkeypatch.setattr("train.engine.finish.write_report", harness.write_no_report)
        for title, code in re.findall(
            r'^```python(?: title="(\w+\.py)")?\n(.*?)^```', (GUIDES / f"{name}.md").read_text(), re.M | re.S
        ):
            if title:
                (tmp_path / title).write_text(code)
                files.append(title.removesuffix(".py"))
            else:
                exec(compile(code, f"{name}.md", "exec"), names)
        assert names
        return names

    files = []
    yield blocks
    for module in files:
        sys.modules.pop(module, None)


def test_your_own_data(run):
    made = run("data")
    assert made["outcome"].finished
    source = load(Data("folder:photos"), "train")
    assert len(source) + len(load(Data("folder:photos"), "test")) == 200
    assert source.facts.classes == tuple("0123456789")
    assert made["outcome"].metrics["accuracy"] > 0.5
    assert made["films"].spec["clip"].shape == (8, 32, 64, 3)
    assert all(made["films"][row]["readable"] for row in range(len(made["films"])))
    assert load(made["brightness"].data, "train").facts.classes == ()
    assert made["striped"].metrics["accuracy"] > 0.9  # a hundred examples of what a dense layer can see


def test_your_own_model(run, monkeypatch):
    made = run("model")
    assert made["logits"].shape == (2, 10)
    assert [stage.stride for stage in made["stages"].values()] == [(2, 2), (4, 4), (8, 8)]
    restored = zoo.load_weights(made["model"], "blobs.safetensors", (32, 32, 3))
    assert jax.tree.all(jax.tree.map(np.array_equal, made["again"], restored))
    assert made["pixels"].shape == (1, 32, 32, 5)
    assert made["losses"][-1] < made["losses"][0] / 2
    monkeypatch.setattr(zoo.catalog, "CATALOG", {**zoo.catalog.CATALOG, "blobs": made["row"]})
    assert zoo.create("blobs", num_classes=3) == made["Blobs"](num_classes=3)
    assert zoo.describe("blobs").input_shape == (32, 32, 3)


def test_your_own_task(run):
    made = run("task", report=True)
    assert (made["outcome"].workdir / "report.html").exists()
    assert made["outcome"].finished
    assert made["recipe"].task.kind == "huber"
    targets = np.abs(load(made["recipe"].data, "test").arrays()["target"])
    assert made["outcome"].metrics["mae"] < targets.mean()  # better than saying zero always


def test_many_devices(run):
    made = run("devices")
    assert made["outcome"].finished
    assert made["again"].metrics == made["outcome"].metrics


def test_weights_in_and_out(run):
    made = run("weights")
    assert made["three"]["params"]["head"]["kernel"].shape[-1] == 3
    trunks = ({**tree["params"], "head": None} for tree in (made["variables"], made["three"]))
    assert jax.tree.all(jax.tree.map(np.array_equal, *trunks))
    assert jax.tree.all(made["same"])
    expected = made["model"].apply(made["variables"], np.zeros((2, 64, 64, 3), np.float32))
    np.testing.assert_allclose(made["logits"], expected, atol=1e-5)


def test_reproduce(run):
    assert run("reproduce")["equal"]


def commands(program):
    """The commands of the guides: on lines of their own."""
    found = []
    for guide in sorted(GUIDES.glob("*.md")):
        for line in re.findall(rf"^    (?:[A-Z_]+=\S+ )?python -m {program} (.*)$", guide.read_text(), re.M):
            found.append(pytest.param(shlex.split(line), id=f"{guide.stem}: {line[:50]}"))
    assert found
    return found


@pytest.mark.parametrize("arguments", commands("train"))
def test_commands_of_the_guides_exist_and_take_their_options(arguments, monkeypatch, capsys):
    """Runs are not begun; what would be trained is read, and what needs a run has its options in its help."""
    command, *rest = arguments
    assert command in cli.COMMANDS
    if command == "fit":
        begun = []
        monkeypatch.setattr("train.cli.training.join_processes", lambda processes: None)
        monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: begun.append(recipe) or Outcome(0, {}, None))
        row = zoo.Entry("blobs", "blobs:Blobs", "classification", (32, 32, 3), "", "")
        monkeypatch.setattr(zoo.catalog, "CATALOG", {**zoo.catalog.CATALOG, "blobs": row})
        assert cli.main(arguments) == 0
        assert begun[0].name == rest[0]
    else:
        with pytest.raises(SystemExit, match="0"):
            cli.main([command, *([rest[0]] if command == "experiment" else []), "--help"])
        said = capsys.readouterr().out
        assert all(option in said for option in rest if option.startswith("--") and "." not in option)


@pytest.mark.parametrize("arguments", commands("zoo"))
def test_commands_about_the_zoo_run(arguments, capsys):
    assert zoo_main(arguments) == 0
    assert capsys.readouterr().out


def test_every_guide_is_tested():
    here = Path(__file__).read_text()
    assert all(f'run("{guide.stem}"' in here for guide in GUIDES.glob("*.md"))
