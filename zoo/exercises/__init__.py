"""Checks of the notebooks' exercises, a file for each notebook: `check_NAME(yours)` says what is right or wrong."""
