"""`python -m zoo list|describe|summary|benchmark|separate`: the catalog, its models and prototypes, in a terminal."""

import argparse
import sys

import zoo
from zoo.huge_pages import OPTION, start_with_huge_pages
from zoo.terminal import visible, write_out_unknown_characters


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns 0, or 2 for a name that does not exist or a file that cannot be written."""
    write_out_unknown_characters()
    parser = argparse.ArgumentParser(
        prog="python -m zoo",
        description="The models of the zoo.",
        epilog=f"{OPTION}: not to start anew with memory in huge pages",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the catalog, or the part of it that matches a pattern")
    listing.add_argument("pattern", nargs="?", default="*", help='a shell pattern, such as "*resnet*"')
    listing.add_argument("--task", help="only models of this task")
    for command, what in (
        ("describe", "what the catalog says of a model"),
        ("summary", "output shape and parameters by stage, FLOPs and bytes"),
        ("benchmark", "times of compiling, inference and a training step on this machine"),
    ):
        one = commands.add_parser(command, help=what)
        one.add_argument("name", help="a name that `list` shows")
        if command == "summary":
            one.add_argument(
                "--input-shape", type=int, nargs="+", metavar="N", help="of one example of its first input"
            )
        if command == "benchmark":
            one.add_argument("--batch", type=int, default=8, metavar="N", help="examples a call (%(default)s)")
            one.add_argument("--side", type=int, default=0, metavar="N", help="pixels a side; by default the catalog's")
            one.add_argument("--rounds", type=int, default=10, metavar="N", help="runs of each program (%(default)s)")
            one.add_argument("--train", action="store_true", help="time a training step too")
            one.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (%(default)s)")
    separating = commands.add_parser("separate", help="unit vectors as prototypes of classes, far from each other")
    separating.add_argument("classes", type=int, help="how many")
    separating.add_argument("dims", type=int, help="of the space")
    separating.add_argument("--objective", default="max", help="max or mean of the largest cosines (%(default)s)")
    separating.add_argument("--seed", type=int, default=0, metavar="N", help="of the starts (%(default)s)")
    separating.add_argument("--save", default="", metavar="FILE", help="a new .npz or .safetensors to keep them in")
    commands.add_parser("markdown", help="the catalog as zoo/MODELS.md")
    chosen = parser.parse_args(arguments)
    from zoo import tables  # jax takes a second to import: not before the program starts anew

    try:
        match chosen.command:
            case "list":
                tables.print_list(chosen.pattern, chosen.task)
            case "markdown":
                print(tables.catalog_markdown())
            case "describe":
                tables.print_description(chosen.name)
            case "summary":
                tables.print_summary(chosen.name, tuple(chosen.input_shape or ()))
            case "benchmark":
                from zoo.benchmark import print_benchmark

                sizes = {"batch": chosen.batch, "side": chosen.side, "rounds": chosen.rounds}
                print_benchmark(chosen.name, **sizes, train=chosen.train, dtype=chosen.dtype)
            case "separate":
                from zoo.hyperspheres.command import print_separation

                print_separation(chosen.classes, chosen.dims, chosen.objective, chosen.seed, chosen.save)
    except (zoo.UnknownNameError, ValueError, OSError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    return 0


def run() -> int:
    """What `python -m zoo` and the installed command `zoo` do: starts anew with huge pages, then `main`."""
    start_with_huge_pages()
    return main()


if __name__ == "__main__":
    raise SystemExit(run())
