"""What MkDocs builds beside `pages/`: READMEs and pictures where they lie, and the recipes from their table.

Links are written as they work in a clone. In the site a page of `docs/pages/` stands at the top and every other file
keeps its place, so links are turned; a link to a file that is no page leads to the repository.
"""

import importlib
import os
import posixpath
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = "docs/pages/"
NOTEBOOKS = "colab/README.md"
SHOWN = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "zoo/MODELS.md",
    "zoo/*/README.md",
    "train/README.md",
    "tests/benchmarks/RESULTS.md",
    NOTEBOOKS,
)
PICTURES = ("zoo/*/*", "train/recipes/*", "train/experiments/*/*", "colab/pictures/*")
SUFFIXES = (".png", ".jpg", ".svg")

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#:]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```.*?^```|    .*?$)", re.MULTILINE | re.DOTALL)


def shown_files() -> list[str]:
    """What the site takes from outside `docs/pages/`, by place in the repository."""
    found = [path for pattern in SHOWN for path in ROOT.glob(pattern)]
    found += [path for pattern in PICTURES for path in ROOT.glob(pattern) if path.suffix in SUFFIXES]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def on_config(config):
    """Puts the notebooks beside the chapters, where there are any."""
    if (ROOT / NOTEBOOKS).exists():
        config.nav.insert(2, {"Notebooks": NOTEBOOKS})
    return config


def on_files(files: "Files", config) -> "Files":
    """Adds them, and the page of recipes."""
    from mkdocs.structure.files import File

    for place in shown_files():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / place)))
    files.append(File.generated(config, "recipes.md", content=recipes_page()))
    return files


def on_page_markdown(markdown: str, page, config, files: "Files") -> str:
    """Turns the links of a page from the repository's places into the site's."""
    here = page.file.src_uri
    place = here if here in shown_files() or here == "recipes.md" else PAGES + here

    def turned(match: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place), match[2]))
        anchor = match[3] or ""
        there = target.removeprefix(PAGES)
        if files.get_file_from_path(there):
            return f"{match[1]}{posixpath.relpath(there, posixpath.dirname(here) or '.')}{anchor})"
        if not (ROOT / target).exists() or match[1].startswith("!"):
            return match[0]  # strict builds refuse it
        repository = repository_address()
        return f"{match[1]}{repository}/blob/main/{target}{anchor})" if repository else match[1][1:-2]

    parts = _FENCE.split(markdown)
    return "".join(part if _FENCE.fullmatch(part) else _LINK.sub(turned, part) for part in parts)


def repository_address() -> str:
    """Where the source is, as pyproject.toml says; empty while it says nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project.get("urls", {}).get("Repository", "").rstrip("/")


def recipes_page() -> str:
    """Every recipe of `train.recipes`: what it trains, its command, and what its file says was measured."""
    sys.path.insert(0, os.fspath(ROOT))
    try:
        order = list(importlib.import_module("train.recipes").all_recipes())
        files = [path.stem for path in (ROOT / "train/recipes").glob("[!_]*.py")]
        modules = [importlib.import_module(f"train.recipes.{name}") for name in files]
    finally:
        sys.path.remove(os.fspath(ROOT))
    lines = [
        "# Recipes",
        "",
        "A recipe is a page of plain values in `train/recipes/`, which decides a run bit by bit. What a file says of",
        "its recipes, the commands and what was measured with them, stands here as it stands there.",
        "`python -m train fit NAME --help` lists every field of a recipe: any of them can be changed there.",
    ]
    for module in sorted(modules, key=lambda module: order.index(module.RECIPES[0].name)):
        summary, _, rest = module.__doc__.strip().partition("\n\n")
        lines += ["", f"## {module.__name__.rpartition('.')[2]}", "", summary, "", _with_commands_fenced(rest), ""]
        lines += ["| command | model | data | task | length |", "|---|---|---|---|---|"]
        for recipe in module.RECIPES:
            options = f" ({', '.join(recipe.model.options)})" if recipe.model.options else ""
            length = f"{recipe.steps:,} steps" if recipe.steps else f"{recipe.epochs:g} epochs"
            cells = (f"`python -m train fit {recipe.name}`", f"`{recipe.model.name}`{options}")
            lines.append(f"| {' | '.join((*cells, recipe.data.source, recipe.task.kind, length))} |")
    return "\n".join(lines) + "\n"


def _with_commands_fenced(text: str) -> str:
    """The text of a docstring, whose paragraphs of commands are printed as they stand."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(f"```\n{part}\n```" if "python -m train" in part.split("\n")[0] else part for part in paragraphs)
