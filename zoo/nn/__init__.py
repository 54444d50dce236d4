"""Building blocks that two or more chapters use; each picks its fast form by platform, so a model file never knows."""

from zoo.nn.conv import Conv, convolution
from zoo.nn.initialisers import kaiming_fan_out, linear_uniform
from zoo.nn.norm import BatchNorm
from zoo.nn.pool import avg_pool, global_avg_pool, max_pool

__all__ = [
    "BatchNorm",
    "Conv",
    "avg_pool",
    "convolution",
    "global_avg_pool",
    "kaiming_fan_out",
    "linear_uniform",
    "max_pool",
]
