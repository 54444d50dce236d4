"""From the perceptron to the multi-layer perceptron, and how each of them learns. Lecture rows L1-L18."""

from zoo.perceptrons import example
from zoo.perceptrons.activations import (
    ACTIVATIONS,
    Activation,
    find_activation,
    relu,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    tanh_derivative,
)
from zoo.perceptrons.backpropagation import backward, forward, init_layers
from zoo.perceptrons.composition import collapse, compose, empirical_risk
from zoo.perceptrons.descent import (
    AdamState,
    adam_init,
    adam_step,
    gradient_descent,
    momentum_step,
    stochastic_gradient_descent,
)
from zoo.perceptrons.earthquakes import EARTHQUAKES, Earthquake, earthquake_features
from zoo.perceptrons.least_squares import (
    least_squares_gradient,
    least_squares_objective,
    least_squares_solution,
)
from zoo.perceptrons.losses import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    softmax,
    squared_error,
)
from zoo.perceptrons.mlp import MLP, layers_of
from zoo.perceptrons.perceptron import (
    XOR_INPUTS,
    XOR_LABELS,
    NotSeparableError,
    PerceptronFit,
    mistake_bound,
    require_converged,
    rosenblatt,
    threshold_unit,
)

__all__ = [
    "ACTIVATIONS",
    "EARTHQUAKES",
    "MLP",
    "XOR_INPUTS",
    "XOR_LABELS",
    "Activation",
    "AdamState",
    "Earthquake",
    "NotSeparableError",
    "PerceptronFit",
    "adam_init",
    "adam_step",
    "backward",
    "binary_cross_entropy",
    "binary_cross_entropy_gradient",
    "collapse",
    "compose",
    "cross_entropy",
    "cross_entropy_gradient",
    "earthquake_features",
    "empirical_risk",
    "example",
    "find_activation",
    "forward",
    "gradient_descent",
    "init_layers",
    "layers_of",
    "least_squares_gradient",
    "least_squares_objective",
    "least_squares_solution",
    "log_softmax",
    "mistake_bound",
    "momentum_step",
    "relu",
    "relu_derivative",
    "require_converged",
    "rosenblatt",
    "sigmoid",
    "sigmoid_derivative",
    "softmax",
    "squared_error",
    "stochastic_gradient_descent",
    "tanh_derivative",
    "threshold_unit",
]
