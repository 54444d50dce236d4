"""Every public name has a docstring, which says shapes, units, errors and source where there are any.

What is public, `public.py` beside this says. Read in the source, not in what it makes: nothing is imported.
"""

import ast
import re

import pytest

from tests.docs.public import Public, found, names_of, public_names, tree_of

NAMES = list(public_names())
OF_CHAPTERS = re.compile(
    r"zoo\.(perceptrons|convolution|convnets|detection|dense|video|sequences|geometric|hyperspheres)\.\w"
)
JAXTYPING = {"Float", "Int", "Bool", "Num", "Real", "UInt", "UInt8", "Inexact", "Shaped", "Key", "PyTree"}
ARRAYS = {"Array", "ArrayLike", "ndarray"}

AXES = "batch|n|examples|rows|height|width|channels|time|features|classes|dims|side|objects|points|places|heads|seeds"
SHAPE = re.compile(
    rf"\((?:[^()]*, ?)?(?:{AXES})(?:, ?[^()]*)?\)"
    r"|\bshapes? (?:of|is|as|that)\b|\b(?:a|one|each) scalar\b|\b(?:any|one) shape\b"
)
SOURCE = re.compile(
    r"\bL\d+\b|\bE\d+\b|\bslides? \d|\bslide's\b"
    r"|[A-Z][\w-]+(?: et al\.|,)? ?(?:and [A-Z]\w+,? )?,? \(?(?:19|20)\d\d\b|torchvision|timm|scipy|scikit-learn"
)
UNITS = {
    "angle": "degree|radian",
    "angles": "degree|radian",
    "rotate": "degree|radian",
    "seconds": "second",
    "box": "pixel|cell",
    "boxes": "pixel",
    "crop": "pixel",
    "canvas": "pixel",
    "resize": "pixel",
    "latitude": "degree",
}
"""What has to be said of a parameter or field of this name."""


def by_name(public: Public) -> str:
    return public.name


def said(public: Public) -> str:
    """The docstring, and that of the class whose method it is."""
    return public.text if public.owner is None else f"{public.text}\n{ast.get_docstring(public.owner) or ''}"


def test_public_names_are_many_and_of_both_packages():
    names = {public.name for public in NAMES}
    assert len(names) > 350
    assert {"zoo.create", "zoo.nn.Conv.__call__", "train.config.Recipe", "train.tasks.Task.loss"} <= names
    assert {"train.data.fields.size_of", "zoo.perceptrons.example.forward"} <= names  # of modules without `__all__`


@pytest.mark.parametrize("module", ["zoo", "zoo.convnets", "zoo.hyperspheres", "train.config", "train.data"])
def test_what_is_exported_has_one_definition(module):
    for name in names_of(module):
        assert found(module, name)


def test_each_begins_with_a_sentence():
    wrong = {}
    for public in NAMES:
        first = public.text.split("\n\n")[0].replace("\n", " ")
        if not re.match(r".{8,}?[.:?](?: |$)", first):
            wrong[public.name] = first or "nothing"
    assert not wrong


def test_shapes_of_arrays_are_in_the_signature_or_in_the_text():
    wrong = {}
    for public in NAMES:
        if isinstance(public.node, ast.FunctionDef) and not SHAPE.search(said(public)):
            bare = [name for name, annotation in annotations(public.node) if has_bare_array(annotation)]
            if bare and not is_empty(public.node):
                wrong[public.name] = bare
    assert not wrong


def test_errors_that_it_raises_itself_are_named():
    wrong = {}
    for public in NAMES:
        text = said(public)
        if isinstance(public.node, ast.ClassDef):
            made = [each for each in public.node.body if getattr(each, "name", "") in ("__init__", "__post_init__")]
            text += "".join(ast.get_docstring(each) or "" for each in made)
            errors = set().union(*(raised(public.module, each) for each in made))
        elif isinstance(public.node, ast.FunctionDef):
            errors = raised(public.module, public.node)
        else:
            continue
        if missing := {error for error in errors if not re.search(rf"Raises:[\s\S]*\b{error}\b", text)}:
            wrong[public.name] = missing
    assert not wrong


def test_names_of_chapters_say_their_source():
    """Lecture row, erratum, slide, paper with its year, or the library that it is compared with."""
    of_chapters = [public for public in NAMES if OF_CHAPTERS.match(public.module) and public.owner is None]
    assert len(of_chapters) > 120
    tops = {public.module: ast.get_docstring(tree_of(public.module)) or "" for public in of_chapters}
    assert [each.name for each in of_chapters if not SOURCE.search(each.text + tops[each.module])] == []


def test_units_of_quantities_are_said():
    checked, wrong = 0, {}
    for public in NAMES:
        for name in parameters(public.node):
            if name in UNITS:
                checked += 1
                everything = said(public) + (ast.get_docstring(tree_of(public.module)) or "")
                everything += " ".join(strings(public.node))
                if not re.search(UNITS[name], everything, re.IGNORECASE):
                    wrong[public.name] = name
    assert checked > 10
    assert not wrong


def test_a_docstring_that_falls_short_is_found():
    """The rules above, on functions that break them."""
    node = ast.parse("def f(x: Array, y: Float[Array, 'a b']) -> list[np.ndarray]:\n    raise ValueError('no')").body[0]
    assert [name for name, annotation in annotations(node) if has_bare_array(annotation)] == ["x", "return"]
    assert raised("zoo.names", node) == {"ValueError"}
    assert not SHAPE.search("The image, turned (by an angle, in degrees) to a size.")
    assert SHAPE.search("The image (height, width, channels), turned.")
    assert not SOURCE.search(
        "Prototypes, far from each other, of numpy, as one had them in 2019; the slides have others."
    )
    for source in ("Everingham et al., 2010, The Pascal", "Girshick, 2015", "row L60", "E4", "slide 12", "torchvision"):
        assert SOURCE.search(source)
    lazy = ast.parse("def f(name):\n    raise unknown('model', name, [])").body[0]
    assert raised("zoo.catalog", lazy) == {"UnknownNameError"}


def annotations(node: ast.FunctionDef) -> list[tuple[str, ast.AST | None]]:
    """What is said of each parameter and of the result."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arguments += [each for each in (node.args.vararg, node.args.kwarg) if each]
    return [(each.arg, each.annotation) for each in arguments] + [("return", node.returns)]


def has_bare_array(node: ast.AST | None) -> bool:
    """Whether an annotation has an array outside of jaxtyping's brackets."""
    if node is None or isinstance(node, ast.Constant):
        return False
    if isinstance(node, ast.Subscript) and name_of(node.value) in JAXTYPING:
        return False
    if name_of(node) in ARRAYS:
        return True
    return any(has_bare_array(child) for child in ast.iter_child_nodes(node))


def is_empty(node: ast.FunctionDef) -> bool:
    """Whether it does nothing but return something empty: there is no array then."""
    last = node.body[-1]
    return isinstance(last, ast.Return) and isinstance(last.value, ast.Dict) and not last.value.keys


def raised(module: str, node: ast.AST) -> set[str]:
    """The errors that a body raises itself, not those of functions in it; of what makes an error, what it makes."""
    errors = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            name = name_of(child.exc.func)
            if name[:1].islower():
                name = name_of(found(module, name)[1].returns)
            errors.add(name)
        errors |= raised(module, child)
    return errors


def name_of(node: ast.AST | None) -> str:
    """Of a name or of an attribute; else empty."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def parameters(node: ast.AST) -> list[str]:
    """Of a function its parameters, of a class its fields."""
    if isinstance(node, ast.FunctionDef):
        return [name for name, _ in annotations(node)]
    if isinstance(node, ast.ClassDef):
        return [each.target.id for each in node.body if isinstance(each, ast.AnnAssign)]
    return []


def strings(node: ast.AST) -> list[str]:
    """Every string in it that stands alone: the docstrings of fields."""
    return [each.value.value for each in ast.walk(node) if isinstance(each, ast.Expr) and is_string(each.value)]


def is_string(node: ast.AST) -> bool:
    """Whether it is a string."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
