"""The settings of each task, a file a chapter."""
