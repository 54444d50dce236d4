"""What pytest must not import: the writer of the golden file needs torchvision."""

collect_ignore = ["goldens/preprocessing.py"]
