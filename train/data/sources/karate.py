"""Zachary's karate club: 34 members, 78 friendships, and the two sides that they took when it split.

Zachary, 1977, An Information Flow Model for Conflict and Fission in Small Groups, as networkx has it. Two members are
known, the instructor and the president, who led the sides; the others are to be found. Lecture row L78.
"""

import numpy as np

from train.config import DataError
from train.data.graph_fields import TEST, TRAINING, both_ways, of_nodes
from train.data.source import ArraySource

LEADERS = (0, 33)
"""The instructor, called Mr. Hi, and the president."""
SIDES = ("Mr. Hi", "Officer")


def karate() -> ArraySource:
    """One graph of 34 nodes, whose features say which node it is alone: the structure has to do.

    Raises:
      DataError: networkx is not installed.
    """
    try:
        import networkx
    except ImportError as error:
        raise DataError('karate: expected networkx, which is not installed: pip install -e ".[graphs]"') from error
    club = networkx.karate_club_graph()
    labels = np.array([SIDES.index(club.nodes[member]["club"]) for member in range(len(club))], np.int32)
    others = np.setdiff1d(np.arange(len(club)), LEADERS)
    parts = {TRAINING: np.array(LEADERS), TEST: others}
    return of_nodes(
        "karate", np.eye(len(club), dtype=np.float32), both_ways(np.array(club.edges)), labels, parts, SIDES
    )
