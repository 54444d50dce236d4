"""Convolutional networks for classification, from LeNet to residual networks. Lecture rows L37-L48."""

from zoo.convnets.cifar_resnet import CifarResNet
from zoo.convnets.lenet import LeNet5

__all__ = ["CifarResNet", "LeNet5"]
