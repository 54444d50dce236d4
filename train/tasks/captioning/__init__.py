"""Captions: what is in an image, said in words."""
