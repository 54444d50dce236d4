"""Trained weights: files of this zoo and of other libraries, to the variables of a model and back.

variables = zoo.load_weights("cifar_resnet20", "resnet20_cifar10.safetensors")
logits = zoo.create("cifar_resnet20").apply(variables, images)
zoo.save_weights(variables, "mine.safetensors")
"""

from zoo.weights.families import FAMILIES, family_of
from zoo.weights.load import NewHeadWarning, load_weights, part_of
from zoo.weights.problems import WeightsError
from zoo.weights.rules import Family, Rule
from zoo.weights.save import save_weights

__all__ = [
    "FAMILIES",
    "Family",
    "NewHeadWarning",
    "Rule",
    "WeightsError",
    "family_of",
    "load_weights",
    "part_of",
    "save_weights",
]
