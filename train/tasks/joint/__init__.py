"""A label and a number an example, without a sphere."""
