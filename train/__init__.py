"""Trains the models of `zoo`: recipes, data, steps, checkpoints, reports. Run it as `python -m train`."""
