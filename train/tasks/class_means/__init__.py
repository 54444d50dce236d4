"""Classification by the nearest mean of a class."""
