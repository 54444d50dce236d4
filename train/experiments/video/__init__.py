"""Experiments of video: one file each."""
