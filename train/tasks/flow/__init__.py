"""Optical flow: where each pixel of an image is in the next one."""
