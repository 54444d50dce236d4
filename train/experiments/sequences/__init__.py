"""Experiments on networks over time."""
