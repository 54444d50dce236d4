"""Depth, normals, reflectance and shading of every pixel, one at a time or together."""
