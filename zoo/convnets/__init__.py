"""Convolutional networks for classification, from LeNet to residual networks and beyond. Lecture rows L37-L48."""

from zoo.convnets.alexnet import AlexNet
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.convnets.convnext import ConvNeXt
from zoo.convnets.densenet import DenseNet
from zoo.convnets.efficientnet import EfficientNet
from zoo.convnets.googlenet import GoogLeNet
from zoo.convnets.inception import InceptionV3
from zoo.convnets.lenet import LeNet5
from zoo.convnets.mnasnet import MnasNet
from zoo.convnets.mobilenet import MobileNetV2, MobileNetV3
from zoo.convnets.regnet import RegNet
from zoo.convnets.resnet import ResNet
from zoo.convnets.shufflenet import ShuffleNetV2
from zoo.convnets.squeezenet import SqueezeNet
from zoo.convnets.swin import SwinTransformer
from zoo.convnets.vgg import VGG
from zoo.convnets.vision_transformer import VisionTransformer

__all__ = [
    "VGG",
    "AlexNet",
    "CifarResNet",
    "ConvNeXt",
    "DenseNet",
    "EfficientNet",
    "GoogLeNet",
    "InceptionV3",
    "LeNet5",
    "MnasNet",
    "MobileNetV2",
    "MobileNetV3",
    "RegNet",
    "ResNet",
    "ShuffleNetV2",
    "SqueezeNet",
    "SwinTransformer",
    "VisionTransformer",
]
