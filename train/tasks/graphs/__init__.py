"""A class for a whole graph."""
