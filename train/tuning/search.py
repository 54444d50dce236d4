"""Which fields of a recipe a sweep searches, and where: "optimizer.learning_rate=log:1e-4..1". Lecture row L18.

A range, `LOW..HIGH`, is uniform, in whole numbers where the field is one, and `log:LOW..HIGH` uniform in the logarithm;
`X,Y,Z` are choices. Types are those of the recipe's fields; `model.options.NAME` is an option of the model.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from train.config import Recipe, RecipeError, flatten, from_dict, to_dict
from zoo.names import UnknownNameError, unknown

OPTION = "model.options."
"""What a field begins with that is an option of the model."""
_FIXED = ("name", "task.kind")
"""Fields that decide which others there are, or where runs are kept."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both of them too."""

    field: str
    low: float
    high: float
    log: bool = False
    """Uniform in the logarithm."""
    whole: bool = False
    """Whole numbers."""

    def __str__(self) -> str:
        return f"{self.field}={'log:' if self.log else ''}{self.low!r}..{self.high!r}"

    @property
    def extremes(self) -> tuple[float, ...]:
        """What is checked before anything is trained."""
        return self.low, self.high

    def shown(self, value: float) -> str:
        """A value as a person reads it."""
        return f"{value:,}" if self.whole else f"{value:.4g}"


@dataclasses.dataclass(frozen=True)
class Choices:
    """Some values, without an order; a trial holds the text of one."""

    field: str
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.field}={','.join(self.texts)}"

    @property
    def extremes(self) -> tuple[str, ...]:
        """What is checked before anything is trained: all."""
        return self.texts

    def shown(self, value: str) -> str:
        """A value as a person reads it."""
        return value


Search = Range | Choices
Values = Mapping[str, Any]
"""What a trial is: by field a number of a `Range`, or the text of one of the `Choices`."""


def parse(texts: Sequence[str], recipe: Recipe) -> tuple[Search, ...]:
    """Fields and where to search them, checked before anything is trained.

    Args:
      texts: each FIELD=SPACE.
      recipe: whose fields they are.

    Raises:
      UnknownNameError: the recipe has no such field; the message names the nearest.
      RecipeError: a space is none, does not fit the type of its field, or leaves its range; the message names it.

    >>> from train.config import Recipe
    >>> [str(search) for search in parse(["optimizer.learning-rate=log:1e-4..1", "epochs=5..20"], Recipe())]
    ['optimizer.learning_rate=log:0.0001..1.0', 'epochs=5..20']
    """
    searches = tuple(_search(text, recipe) for text in texts)
    fields = [search.field for search in searches]
    if twice := [field for field in fields if fields.count(field) > 1]:
        raise RecipeError(f"{twice[0]}: searched twice")
    for search, text in zip(searches, texts, strict=True):
        try:
            recipes = {with_values(recipe, searches, {search.field: value}) for value in search.extremes}
        except (RecipeError, UnknownNameError) as error:
            raise RecipeError(f"{text}: {error}") from None
        if len(recipes) < len(search.extremes):
            raise RecipeError(f"{search.field}: expected choices that differ, got {text!r}")
    return searches


def with_values(recipe: Recipe, searches: Sequence[Search], values: Values) -> Recipe:
    """The recipe of a trial.

    As on the command line, another `model.name` leaves the model's options behind.

    Raises:
      RecipeError: a value is of the wrong type or out of range.
    """
    by_field = {search.field: search for search in searches}
    changed = to_dict(recipe)
    if values.get("model.name", recipe.model.name) != recipe.model.name:
        changed["model"]["options"] = ()
    for field, value in values.items():
        if field.startswith(OPTION):
            changed["model"]["options"] = _with_option(changed["model"]["options"], field, value)
            continue
        *path, last = field.split(".")
        place = changed
        for part in path:
            place = place[part]
        chosen = isinstance(by_field[field], Choices)
        place[last] = _value(field, value, _hint(recipe, field)) if chosen else value
    return from_dict(changed)


def _search(text: str, recipe: Recipe) -> Search:
    field, equals, space = text.partition("=")
    field = field.strip().replace("-", "_") if not field.startswith(OPTION) else field.strip()
    space = space.strip()
    if not (field and equals and space):
        raise RecipeError(f"expected FIELD=SPACE, such as optimizer.learning_rate=log:1e-4..1, got {text!r}")
    known = [name for name in flatten(recipe) if name not in _FIXED]
    if field in _FIXED or field == "model.options":
        instead = f"search {OPTION}NAME=..." if field == "model.options" else "give it with its own option"
        raise RecipeError(f"{field}: cannot be searched: {instead}")
    if field not in known and not (field.startswith(OPTION) and field.removeprefix(OPTION).isidentifier()):
        raise unknown("field of a recipe", field, known)
    hint = None if field.startswith(OPTION) else _hint(recipe, field)
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    numeric = hint is None or int in kinds or float in kinds
    log = space.startswith("log:")
    low, dots, high = space.removeprefix("log:").partition("..")
    if dots and numeric:
        return _range(field, low, high, log, whole=int in kinds, free=hint is None)
    texts = tuple(part.strip() for part in _split(space))
    if len(texts) < 2:
        ranges = " LOW..HIGH, log:LOW..HIGH or" if numeric else ""
        raise RecipeError(f"{field}: expected{ranges} two choices or more, X,Y, got {space!r}")
    if "" in texts:
        raise RecipeError(f"{field}: expected choices between commas, got {space!r}")
    return Choices(field, texts)


def _range(field: str, low: str, high: str, log: bool, whole: bool, free: bool) -> Range:
    """A range of numbers; of a field without a type they are whole where both ends are."""
    try:
        ends = float(low), float(high)
    except ValueError:
        raise RecipeError(f"{field}: expected numbers LOW..HIGH, got {low}..{high}") from None
    are_whole = all(text.strip().lstrip("+-").isdecimal() for text in (low, high))
    if whole and not are_whole:
        raise RecipeError(f"{field}: expected whole numbers LOW..HIGH, got {low}..{high}")
    if whole := whole or (free and are_whole):
        ends = int(low), int(high)
    if not ends[0] < ends[1] < float("inf") or ends[0] == float("-inf"):
        raise RecipeError(f"{field}: expected LOW below HIGH, got {low}..{high}")
    if log and ends[0] <= 0:
        raise RecipeError(f"{field}: expected a range above 0 after log:, got {low}..{high}")
    return Range(field, *ends, log, whole)


def _split(text: str) -> list[str]:
    """The text between commas that stand in no brackets.

    >>> _split("(64,),(256, 128)")
    ['(64,)', '(256, 128)']
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _hint(recipe: Recipe, field: str) -> Any:
    """The declared type of a field."""
    place: Any = recipe
    *path, last = field.split(".")
    for part in path:
        place = getattr(place, part)
    return typing.get_type_hints(type(place))[last]


def _value(field: str, text: str, hint: Any) -> Any:
    """What a choice says, as the field's type.

    Raises:
      RecipeError: it is none of that type.
    """
    if isinstance(hint, types.UnionType):
        if text.lower() == "none" and type(None) in typing.get_args(hint):
            return None
        hint = next(argument for argument in typing.get_args(hint) if argument is not type(None))
    if typing.get_origin(hint) is tuple:
        return tuple(_value(field, part, typing.get_args(hint)[0]) for part in text.split())
    if typing.get_origin(hint) is typing.Literal or hint is str:
        return text  # the recipe knows its choices
    try:
        if hint is bool:
            return {"true": True, "false": False}[text.lower()]
        return hint(text)
    except (KeyError, ValueError):
        expected = "true or false" if hint is bool else hint.__name__
        raise RecipeError(f"{field}: expected {expected}, got {text!r}") from None


def _with_option(options: Sequence[str], field: str, value: Any) -> tuple[str, ...]:
    """The model's options with one of them set."""
    name = field.removeprefix(OPTION)
    return (
        *(option for option in options if option.partition("=")[0] != name),
        f"{name}={value if isinstance(value, str) else repr(value)}",
    )
