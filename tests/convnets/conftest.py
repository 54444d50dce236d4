"""What pytest must not import: the writer of the golden files needs torch."""

collect_ignore = ["goldens/generate.py"]
