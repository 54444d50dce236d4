"""A class for each node of a graph."""
