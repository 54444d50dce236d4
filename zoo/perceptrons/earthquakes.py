"""Structured data: the lecture's table of earthquakes, whose columns are features ready to learn from.

The 22 rows that the slide shows of 2009EQ.csv. Pixels are no such columns: a network has to learn its
features from them, which is what the rest of the library is about. Lecture row L1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Earthquake(NamedTuple):
    """One row: universal time, position in degrees, magnitude, and depth in kilometres."""

    year: int
    month: int
    day: int
    time_utc: str
    latitude: float
    longitude: float
    magnitude: float
    depth: float
    shape: str


EARTHQUAKES = (
    Earthquake(2009, 1, 1, "12:43:12 PM", -15.43, -173.14, 4.0, 35.0, "Point"),
    Earthquake(2009, 1, 1, "9:36:00 PM", 17.22, 40.52, 5.0, 10.0, "Point"),
    Earthquake(2009, 1, 1, "9:50:24 AM", -55.16, -29.09, 4.7, 35.0, "Point"),
    Earthquake(2009, 1, 1, "1:26:24 PM", 80.85, -3.03, 4.8, 10.0, "Point"),
    Earthquake(2009, 1, 1, "6:28:48 AM", -6.92, 155.18, 4.6, 82.0, "Point"),
    Earthquake(2009, 1, 1, "10:19:12 AM", -6.83, 129.99, 4.7, 50.0, "Point"),
    Earthquake(2009, 1, 1, "12:00:00 PM", -33.8, -72.72, 4.6, 0.0, "Point"),
    Earthquake(2009, 1, 1, "12:57:36 PM", -58.29, -21.81, 4.4, 10.0, "Point"),
    Earthquake(2009, 1, 1, "3:21:36 AM", -6.86, 155.93, 4.7, 50.0, "Point"),
    Earthquake(2009, 1, 1, "7:55:12 PM", 1.12, 120.73, 4.7, 49.0, "Point"),
    Earthquake(2009, 1, 1, "11:16:48 AM", -11.66, 166.75, 4.7, 254.0, "Point"),
    Earthquake(2009, 1, 1, "2:09:36 AM", 40.62, 123.02, 4.1, 10.0, "Point"),
    Earthquake(2009, 1, 1, "5:16:48 AM", -34.84, -107.65, 5.8, 10.0, "Point"),
    Earthquake(2009, 1, 1, "1:40:48 PM", -9.61, 120.72, 4.2, 20.0, "Point"),
    Earthquake(2009, 1, 1, "2:38:24 AM", -22.04, -179.6, 4.5, 601.0, "Point"),
    Earthquake(2009, 1, 1, "6:43:12 AM", 1.32, 121.84, 5.1, 33.0, "Point"),
    Earthquake(2009, 1, 1, "4:19:12 PM", 14.73, -91.39, 4.7, 169.0, "Point"),
    Earthquake(2009, 1, 1, "5:45:36 PM", 9.43, 124.15, 4.5, 525.0, "Point"),
    Earthquake(2009, 1, 1, "4:48:00 PM", -34.86, -107.78, 5.0, 10.0, "Point"),
    Earthquake(2009, 1, 1, "8:09:36 PM", 44.58, 148.22, 4.2, 59.0, "Point"),
    Earthquake(2009, 1, 1, "2:38:24 AM", -4.33, 101.3, 5.5, 19.0, "Point"),
    Earthquake(2009, 1, 1, "2:52:48 AM", -4.33, 101.24, 5.3, 26.0, "Point"),
)
"""The 22 rows of the slide, in its order."""


def earthquake_features() -> tuple[Float[np.ndarray, "22 4"], Float[np.ndarray, " 22"]]:
    """Inputs (1, latitude, longitude, depth) and target (magnitude), for least squares."""
    inputs = np.array([(1.0, row.latitude, row.longitude, row.depth) for row in EARTHQUAKES])
    return inputs, np.array([row.magnitude for row in EARTHQUAKES])
