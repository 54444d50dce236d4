"""The rooms of `train`: who may import whom, and that the engine knows no chapter. Walks the syntax trees."""

import ast
import re
from pathlib import Path

import pytest

from train.config.task import KINDS

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "config": set(),
    "recipes": {"config"},
    "data": {"config"},
    "store": {"config"},
    "report": {"config"},
    "tasks": {"config", "data"},
    "engine": {"config", "data", "tasks", "store", "report"},
    "use": {"config", "data", "tasks", "store", "report", "engine"},
    "experiments": {"config", "data", "tasks", "store", "report", "engine", "recipes"},
    "tuning": {"config", "store", "report", "engine"},
    "cli": {"config", "data", "recipes", "store", "engine", "use", "experiments", "tuning"},
    "notebook": {"config", "recipes", "report", "store", "engine"},
    "__main__": {"cli"},
    "__init__": {"notebook"},
}
"""What each room may import of the others. A task's `page.py` , and what it draws with, may import `report` too."""

KNOW_NO_CHAPTER = ("engine", "store", "report")
CHAPTERS = {path.parent.name for path in (ROOT / "zoo").glob("*/README.md")} - {"nn"}
"""Of `zoo`."""


def imports_of(path):
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(room):
    path = ROOT / "train" / room
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def rooms_of(path):
    """The rooms of `train` that a file imports."""
    found = {name.split(".")[1] for name in imports_of(path) if re.match(r"train\.\w", name)}
    return found & MAY_IMPORT.keys()


def test_every_room_is_known_here():
    rooms = {
        path.stem for path in (ROOT / "train").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms == MAY_IMPORT.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_it_may(room):
    for path in files_of(room):
        allowed = (
            MAY_IMPORT[room] | {room} | ({"report"} if room == "tasks" and path.stem in ("page", "drawing") else set())
        )
        assert rooms_of(path) <= allowed, path.relative_to(ROOT)


def test_pages_are_imported_only_when_something_is_drawn():
    for path in files_of("tasks"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and path.name != "page.py":
                assert not node.module.endswith(".page"), path.relative_to(ROOT)


@pytest.mark.parametrize("room", KNOW_NO_CHAPTER)
def test_the_engine_imports_no_chapter_and_names_no_task(room):
    for path in files_of(room):
        chapters = {name.split(".")[1] for name in imports_of(path) if name.startswith("zoo.")} & CHAPTERS
        assert not chapters, path.relative_to(ROOT)
        named = {
            name for name in imports_of(path) if re.match(r"train\.(tasks|config\.tasks)\.(?!protocol)[a-z]", name)
        }
        assert named <= {"train.tasks.fitted", "train.tasks.make_task", "train.tasks.restore_task"}, path
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not words & KINDS.keys(), path.relative_to(ROOT)


def test_settings_and_recipes_import_nothing_heavy():
    light = {"train", "zoo.names", "zoo.names.unknown", "zoo.rows", "zoo.rows.html_rows", "zoo.rows.html_folded"}
    for room in ("config", "recipes"):
        for path in files_of(room):
            names = {
                name for name in imports_of(path) if name.partition(".")[0] in ("jax", "flax", "numpy", "PIL", "zoo")
            }
            assert names <= light, path.relative_to(ROOT)


def test_image_files_are_opened_in_one_place():
    files = [path for package in ("zoo", "train") for path in (ROOT / package).rglob("*.py")]
    opening = [path for path in files if "Image.open(" in path.read_text(encoding="utf-8")]
    assert opening == [ROOT / "zoo" / "images.py"]


def test_zoo_never_imports_train():
    for path in (ROOT / "zoo").rglob("*.py"):
        assert not {name for name in imports_of(path) if name.split(".")[0] == "train"}, path.relative_to(ROOT)


def test_a_base_name_stands_in_two_rooms_only_where_the_path_says_it_all():
    shared = {"__init__", "task", "page", "drawing", "judge"}
    rooms = {}
    for room in MAY_IMPORT:
        for path in files_of(room):
            if path.stem not in shared and path.parent.parent.name != "experiments":
                rooms.setdefault(path.stem, []).append(str(path.relative_to(ROOT)))
    twice = {stem: paths for stem, paths in rooms.items() if len(paths) > 1}
    allowed = {"classification", "regression", "sphere", "segmentation", "detection", "digits", "scenes", "transfer"}
    allowed |= {"flow", "surfaces", "video", "captioning", "graphs"}
    assert twice.keys() <= allowed, twice
