"""The public names: what they are, and where each is written.

Public is what the `__all__` of a module names; and of a module that has none, but a page of the API shows, every name
that is defined there without an underscore in front. Of a public class its own methods and properties without an
underscore are public too, and its `__call__`.
"""

import ast
import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import train
import zoo

ROOT = Path(__file__).resolve().parents[2]
SHOWN = tuple(
    sorted(
        name
        for page in (ROOT / "docs/pages/api").glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)
    )
)
"""Modules that the API's pages show."""


class Public(NamedTuple):
    """A public name, where it is written."""

    name: str
    """As one reaches it first: zoo.create, zoo.convnets.ResNet.__call__."""
    module: str
    """That has its text."""
    node: ast.AST
    owner: ast.ClassDef | None
    """The class that a method belongs to."""
    text: str
    """Its docstring; of a constant the string below it. Empty where there is none."""


@functools.cache
def tree_of(module: str) -> ast.Module:
    """The syntax tree of a module, which is not imported."""
    place = ROOT / module.replace(".", "/")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def modules() -> tuple[str, ...]:
    """Every module of both packages, by name."""
    found = [package.__name__ for package in (zoo, train)]
    for package in (zoo, train):
        found += [each.name for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return tuple(sorted(found))


def names_of(module: str) -> tuple[str, ...]:
    """The public names of a module; none of one that has no `__all__` and is not shown."""
    tree = tree_of(module)
    for node in tree.body:
        if isinstance(node, ast.Assign) and [target.id for target in node.targets if isinstance(target, ast.Name)] == [
            "__all__"
        ]:
            return tuple(ast.literal_eval(node.value))
    return tuple(name for name in definitions(module) if not name.startswith("_")) if module in SHOWN else ()


@functools.cache
def definitions(module: str) -> dict[str, tuple[ast.AST, str]]:
    """What a module defines: the node of each name, and its docstring."""
    found = {}
    body = tree_of(module).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node, ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found[target.id] = node, _string(below)
    return found


def _string(node: ast.AST | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


@functools.cache
def imports(module: str) -> dict[str, tuple[str, str]]:
    """Names that a module imports from others of ours: where from, and what they are called there."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("zoo", "train")
        for alias in node.names
    }


def found(module: str, name: str) -> tuple[str, ast.AST, str]:
    """The module that defines a name which another has, the definition and its docstring."""
    while name not in definitions(module):
        there = imports(module)
        if name not in there:  # a lazy name
            raise LookupError(f"{module}.{name}: expected a definition or an import, found neither")
        module, name = there[name]
        if f"{module}.{name}" in modules():
            tree = tree_of(f"{module}.{name}")
            return f"{module}.{name}", tree, ast.get_docstring(tree) or ""
    return module, *definitions(module)[name]


def public_names() -> Iterator[Public]:
    """Each once, under the shortest way to it."""
    seen = set()
    for module in sorted(modules(), key=lambda name: (name.count("."), name)):
        for name in names_of(module):
            place, node, text = found(module, name)
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield Public(f"{module}.{name}", place, node, None, text)
            if isinstance(node, ast.ClassDef):
                for member in node.body:
                    if isinstance(member, ast.FunctionDef) and (
                        member.name == "__call__" or not member.name.startswith("_")
                    ):
                        doc = ast.get_docstring(member) or ""
                        yield Public(f"{module}.{name}.{member.name}", place, member, node, doc)


def resolves(path: str) -> bool:
    """Whether a dotted name exists: a module, or an attribute of one, or of a class there."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            place = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(place, part) and part not in getattr(place, "__annotations__", {}):
                return False
            place = getattr(place, part, None)
        return True
    return False
