"""The command that looks at data before anything is trained: `check-data`."""

import dataclasses
from typing import Annotated, Any

import tyro

from train.cli.arguments import Arguments, UsageError, parse


def check_data(arguments: Arguments) -> int:
    """Says what is wrong with the examples of a recipe, or of --data.source."""
    from train.config import Data
    from train.recipes import get

    named = bool(arguments) and not arguments[0].startswith("-")
    name, rest = (arguments[0], arguments[1:]) if named else ("", arguments)
    data: Any = get(name).data if named else Data()
    wants_help = {"-h", "--help"} & set(rest)
    if not named and not wants_help and not any(word.partition("=")[0] == "--data.source" for word in rest):
        raise UsageError("check-data: expected a recipe, or --data.source")

    @dataclasses.dataclass(frozen=True)
    class Check:
        data: Annotated[Data, tyro.conf.arg(name="data")]

    chosen = parse(Check, rest, f"check-data {name}".strip(), description=check_data.__doc__, default=Check(data))
    from train.use.check_data import check_data as check

    return 1 if check(chosen.data) else 0
