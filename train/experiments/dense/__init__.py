"""Experiments of dense prediction: one file each."""
