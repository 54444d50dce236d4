"""Experiments on convolutional networks. Lecture rows L39-L48."""
