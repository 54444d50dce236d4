"""Features on which images are compared: the hidden layer of a small classifier of the training examples.

Pixels alone will not do: a normal distribution has the mean and the covariance of any images, so that their Fréchet
distance would be none. What tells classes apart is not linear in pixels, as the features of Inception are for FID.
"""

import warnings

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.tasks.fitting import Rows, as_rows

WIDTH = 32
"""Features of an image."""
BATCH, UPDATES = 64, 1500
DIGITS = 6
"""That weights are kept to: they are written into the run's card."""
MOST = 5000
"""Training examples that are read, to fit it and to compare with."""


def fit_embedding(
    images: UInt8[np.ndarray, "n height width channels"], labels: Int[np.ndarray, " n"]
) -> tuple[Rows, tuple[float, ...]]:
    """Weights (pixels, features) and biases of a hidden layer of ReLUs that classifies the images.

    Args:
      images: of the training examples.
      labels: their classes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    epochs = max(1, round(UPDATES * BATCH / len(images)))
    network = MLPClassifier(
        (WIDTH,), batch_size=min(BATCH, len(images)), learning_rate_init=3e-3, max_iter=epochs, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many updates as are asked for
        network.fit(as_pixels(images), labels)
    (kernel, _), (bias, _) = network.coefs_, network.intercepts_
    rounded = np.vectorize(lambda value: float(f"{value:.{DIGITS}g}"), otypes=[float])
    return as_rows(rounded(kernel)), tuple(rounded(bias).tolist())


def embed(
    pixels: Float[np.ndarray, "n inputs"], kernel: Rows, bias: tuple[float, ...]
) -> Float[np.ndarray, "n features"]:
    """The features of images, as rows of pixels from 0 to 1."""
    return np.maximum(pixels @ np.asarray(kernel, np.float32) + np.asarray(bias, np.float32), 0)


def evenly(count: int, most: int) -> Int[np.ndarray, " some"]:
    """At most so many rows, spread over all.

    >>> evenly(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def as_pixels(images: np.ndarray) -> Float[np.ndarray, "n inputs"]:
    """Each image as a row of pixels from 0 to 1, which bytes go to 255 for."""
    scale = 255 if images.dtype == np.uint8 else 1
    return images.reshape(len(images), -1).astype(np.float32) / scale
