"""Experiments on what networks do not understand yet."""
