"""Checks of the notebooks' exercises, a file for each notebook: `check_NAME(your_function)` says what is wrong, or that all is right."""
