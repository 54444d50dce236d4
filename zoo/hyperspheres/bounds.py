"""What the largest cosine between unit vectors cannot be below: bounds to set a placing beside. Lecture L85.

Rankin's bound is attained by up to 2 dims vectors, Levenshtein's by the sharpest codes there are: the icosahedron,
the shortest vectors of E8 and of the Leech lattice, the regular polygons. Welch's is of absolute cosines.
"""

import math

HALVINGS = 64
"""Of the interval of a cosine: what is left is less than double precision."""


def lower_bound(classes: int, dims: int) -> float:
    """What the largest cosine between two of so many unit vectors cannot be below: the best of the bounds here.

    Raises:
      ValueError: fewer than one class or two dimensions.

    >>> lower_bound(100, 99), lower_bound(100, 50), round(lower_bound(100, 10), 4)
    (-0.010101010101010102, 0.0, 0.2784)
    """
    rankin = rankin_bound(classes, dims)
    return rankin if classes <= 2 * dims else max(rankin, levenshtein_bound(classes, dims))


def rankin_bound(classes: int, dims: int) -> float:
    """-1 / (classes - 1) up to dims + 1 classes and 0 above; attained by up to 2 dims vectors, not by more.

    Rankin, 1955, The Closest Packing of Spherical Caps in n Dimensions.

    Raises:
      ValueError: fewer than one class or two dimensions.
    """
    _check(classes, dims)
    if classes < 2:
        return -1.0
    return -1 / (classes - 1) if classes <= dims + 1 else 0.0


def welch_bound(classes: int, dims: int) -> float:
    """What the largest absolute cosine between two cannot be below: sqrt((classes - dims) / (dims (classes - 1))).

    Not a bound of the largest cosine itself, to which opposite vectors do not count; so no part of `lower_bound`.
    Welch, 1974, Lower Bounds on the Maximum Cross Correlation of Signals.

    Raises:
      ValueError: fewer than one class or two dimensions.
    """
    _check(classes, dims)
    return math.sqrt((classes - dims) / (dims * (classes - 1))) if classes > dims else 0.0


def levenshtein_bound(classes: int, dims: int) -> float:
    """The smallest cosine s at which Levenshtein's universal bound L(dims, s) lets so many vectors be.

    Levenshtein, 1992, Designs as Maximum Codes in Polynomial Metric Spaces. L is made of pieces L_1, L_2, ..., and
    piece m serves from D(dims, m) to D(dims, m + 1) vectors, the least that a spherical design of that strength has.

    Raises:
      ValueError: fewer than one class or two dimensions.

    >>> round(levenshtein_bound(240, 8), 6), round(levenshtein_bound(196560, 24), 6)  # E8, the Leech lattice
    (0.5, 0.5)
    """
    _check(classes, dims)
    if classes <= 2:
        return -1.0
    if dims == 2:
        return math.cos(2 * math.pi / classes)  # as below, which would take a matrix of half as many rows
    piece = 1
    while _design(piece + 1, dims) < classes:
        piece += 1
    k = (piece + 1) // 2
    low, high = (_end(k - 1, dims), _middle(k, dims)) if piece % 2 else (_middle(k, dims), _end(k, dims))
    for _ in range(HALVINGS):
        cosine = (low + high) / 2
        if _most(piece, dims, cosine) < classes:
            low = cosine
        else:
            high = cosine
    return low


def _check(classes: int, dims: int) -> None:
    for name, value, least in (("classes", classes, 1), ("dims", dims, 2)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")


def _design(strength: int, dims: int) -> int:
    """D(dims, strength), than which no spherical design has fewer points: Delsarte, Goethals and Seidel, 1977."""
    half = strength // 2
    if strength % 2:
        return 2 * math.comb(dims + half - 1, dims - 1)
    return math.comb(dims + half - 1, dims - 1) + math.comb(dims + half - 2, dims - 1)


def _most(piece: int, dims: int, cosine: float) -> float:
    """L_piece: the number of vectors with no larger cosine is not above it, where the piece serves."""
    k = (piece + 1) // 2
    before, at, after = (_gegenbauer(degree, dims, cosine) for degree in (k - 1, k, k + 1))
    if piece % 2:
        fraction = (before - at) / ((1 - cosine) * at)
        return math.comb(k + dims - 3, k - 1) * ((2 * k + dims - 3) / (dims - 1) - fraction)
    fraction = (1 + cosine) * (at - after) / ((1 - cosine) * (at + after))
    return math.comb(k + dims - 2, k) * ((2 * k + dims - 1) / (dims - 1) - fraction)


def _gegenbauer(degree: int, dims: int, t: float) -> float:
    """The polynomial that is orthogonal on the unit sphere, 1 at t = 1."""
    older, newer = 1.0, t
    for i in range(1, degree):
        older, newer = newer, ((2 * i + dims - 2) * t * newer - i * older) / (i + dims - 2)
    return newer if degree else older


def _end(k: int, dims: int) -> float:
    """Where L_2k ends and L_2k+1 begins: the largest zero of Jacobi's P_k^(1,1), Gegenbauer's in two more dims."""
    return _zeros(k, dims + 2, False)[-1] if k else -1.0


def _middle(k: int, dims: int) -> float:
    """Where L_2k-1 ends and L_2k begins: the largest zero of Jacobi's P_k^(1,0), where P_k = P_k+1 short of t = 1."""
    return _zeros(k + 1, dims, True)[-2]


def _zeros(degree: int, dims: int, less_the_one_before: bool) -> list[float]:
    """Of Gegenbauer's P_degree, or of that less P_(degree - 1): eigenvalues of what t does to the polynomials below."""
    import numpy as np

    i = np.arange(1, degree)
    up = np.concatenate([[1.0], (i + dims - 2) / (2 * i + dims - 2)])  # t P_i = up P_(i+1) + (1 - up) P_(i-1)
    beside = np.sqrt(up[:-1] * (1 - up[1:]))
    matrix = np.diag(beside, 1) + np.diag(beside, -1)
    if less_the_one_before:
        matrix[-1, -1] = up[-1]
    return np.linalg.eigvalsh(matrix).tolist()
