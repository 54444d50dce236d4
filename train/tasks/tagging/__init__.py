"""A class at every step of a sequence."""
