"""Experiments of detection: one file each."""
