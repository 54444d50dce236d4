"""The catalog's rows of the chapter `zoo.convnets`."""

from zoo.catalog import cifar, classics, mobile, modern, residual
from zoo.catalog.entry import Entry

LECUN_1998 = "LeCun et al., 1998, Gradient-Based Learning Applied to Document Recognition"

ENTRIES = (
    Entry("lenet5", "zoo.convnets.lenet:LeNet5", "classification", (28, 28, 1), LECUN_1998, "L37"),
    *cifar.ENTRIES,
    *classics.ENTRIES,
    *mobile.ENTRIES,
    *residual.ENTRIES,
    *modern.ENTRIES,
)
