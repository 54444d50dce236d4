"""How classes of graphs are shown: as those of images are, with a picture of what each graph was made of."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, UInt8

from train.data.sources.superpixels import PICTURE
from train.report.picture import example_picture
from train.report.sample import Kept, pictured
from train.tasks.classification.page import ClassPage
from train.tasks.protocol import HostBatch, HostPrediction


class GraphPage(ClassPage):
    """See `ClassPage`."""

    def kept(self, batch: HostBatch, among: Int[np.ndarray, " m"], said: dict[str, np.ndarray]) -> Kept:
        """What is kept of some of a batch's graphs, see `pictured`."""
        return pictured(batch[PICTURE], among, **said)

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: what the graph was made of, and the leading classes as bars."""
        return example_picture(example[PICTURE], self.bars(predicted))
