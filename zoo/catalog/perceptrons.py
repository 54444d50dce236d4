"""The catalog's rows of the chapter `zoo.perceptrons`."""

from zoo.catalog.entry import Entry

RUMELHART_1986 = "Rumelhart et al., 1986, Learning Representations by Back-Propagating Errors"

ENTRIES = (Entry("mlp", "zoo.perceptrons.mlp:MLP", "classification", (28, 28, 1), RUMELHART_1986, "L5, L6"),)
