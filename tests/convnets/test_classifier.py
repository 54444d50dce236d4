"""How many classes a convnet may have: every one refuses the same numbers."""

import pytest

import zoo
from tests.convnets import families
from zoo.catalog import CATALOG

CONVNETS = [entry for entry in CATALOG.values() if entry.builder.startswith("zoo.convnets.")]
BY_CLASS = {entry.builder: entry.name for entry in sorted(CONVNETS, key=lambda e: e.name.endswith(("tiny", "mini")))}
"""One model of each class, a small one where there is one."""


@pytest.mark.parametrize("name", sorted(BY_CLASS.values()))
def test_a_negative_number_of_classes_is_refused(name):
    with pytest.raises(ValueError, match=r"num_classes: expected a positive integer, or 0 .*, got -1"):
        families.shapes(zoo.create(name, num_classes=-1), zoo.describe(name).input_shape)
