"""`python -m train`, and the installed command `zoo-train`: the command line."""

from zoo.huge_pages import start_with_huge_pages


def run() -> int:
    """Starts anew with huge pages, then does what `train.cli.main` does."""
    start_with_huge_pages()
    from train.cli import main

    return main()


if __name__ == "__main__":
    raise SystemExit(run())
