"""`python -m train`: the command line."""

from zoo.huge_pages import start_with_huge_pages

if __name__ == "__main__":
    start_with_huge_pages()
    from train.cli import main

    raise SystemExit(main())
