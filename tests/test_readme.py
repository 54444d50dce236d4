"""The README and the table of models say what is true: numbers, snippet and the commands they name."""

import re
import shlex
from pathlib import Path

import pytest

import zoo
from train import cli
from train.cli import COMMANDS
from train.engine.loop import Outcome
from zoo import tables
from zoo.__main__ import main as zoo_main

README = (Path(__file__).parents[1] / "README.md").read_text()
TRAINING = (Path(__file__).parents[1] / "train" / "README.md").read_text()
MODELS = (Path(__file__).parents[1] / "zoo" / "MODELS.md").read_text()


def _commands(program: str) -> list[list[str]]:
    text = f"{README}\n{TRAINING}"
    lines = re.findall(rf"^    (python -m {program}.*)$", text, re.MULTILINE)
    lines += re.findall(rf"`(python -m {program}[^`]*)`", text)
    assert lines
    return [shlex.split(line)[3:] for line in lines]


def test_the_table_is_the_catalogs(monkeypatch):
    """But for the numbers of parameters, which `test_catalog.py` compares with those of each model."""
    written = {
        name: int(count.replace(",", "")) for name, count in re.findall(r"^\| `(\w+)` \| ([\d,]+) ", MODELS, re.M)
    }
    assert list(written) == zoo.list_models()
    monkeypatch.setattr(tables, "count_parameters", written.__getitem__)
    assert tables.catalog_markdown() + "\n" == MODELS


def test_the_library_snippet_runs():
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace: dict = {}
    exec(snippet, namespace)
    assert namespace["logits"].shape == (8, 10)


def test_commands_of_the_readme_exist_and_take_their_options(monkeypatch):
    fitted = []
    ended = Outcome(0, {}, None)
    monkeypatch.setattr("train.engine.loop.fit", lambda recipe, path: fitted.append(recipe.name) or ended)
    monkeypatch.setattr("train.tuning.sweep.run", lambda sweep, path: fitted.append(sweep.base.name) or 0)
    monkeypatch.setattr("train.tuning.at_once.run_at_once", lambda base, *_: fitted.append(base.name) or 0)
    for command, *arguments in filter(None, _commands("train")):
        assert command in COMMANDS
        if command == "sweep":
            assert cli.main([command, *arguments]) == 0
            assert fitted.pop() == arguments[0]
        if command == "fit" and arguments[0] != "RECIPE":
            assert cli.main([command, *arguments]) == 0
            assert fitted.pop() == arguments[0]


@pytest.mark.parametrize("arguments", _commands("zoo"), ids=" ".join)
def test_commands_about_the_zoo_run(arguments, capsys):
    assert zoo_main(arguments) == 0
    assert capsys.readouterr().out


def test_the_two_commands_stand_on_lines_of_their_own():
    assert "\n    pip install -e . && python -m train\n" in README
    assert '\n    pip install -e ".[test]" && pytest\n' in README
