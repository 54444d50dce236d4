"""What pytest must not import: the writers of the golden files need torch."""

collect_ignore = ["goldens/generate.py", "goldens/torchvision.py"]
