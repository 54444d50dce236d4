"""Detection: which objects are in an image, and where. Boxes are left, top, right, bottom in pixels."""

from zoo.detection.boxes import area, clipped, iou
from zoo.detection.grid import Cells, GridDetector, decode, encode, losses, scores
from zoo.detection.suppression import suppress

__all__ = ["Cells", "GridDetector", "area", "clipped", "decode", "encode", "iou", "losses", "scores", "suppress"]
