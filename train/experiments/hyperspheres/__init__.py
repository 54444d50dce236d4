"""Experiments with classes and values on the sphere. Lecture rows L86-L96."""
