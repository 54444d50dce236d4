"""`python -m train`: the command line."""

from train.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
