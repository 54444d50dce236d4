"""Experiments of the chapter `zoo.geometric`: networks that know a symmetry, beside those that do not."""
