"""Networks of optical flow beside torch's: the flow of a pair of images, and a training step.

    python -m tests.benchmarks.flow                              one pair of 256 x 256 pixels
    python -m tests.benchmarks.flow "raft*" --side 440 --rounds 3

As `tests/benchmarks/convnets.py`, which says what the columns are. Both sides have random weights and learn from a
drawn flow: RAFT by its loss over twelve updates, FlowNetS and the correlation layer (of maps of 256 channels, a row of
its own) by the mean square of what they give. torch's FlowNetS is stated in the file of the sides, its correlation
layer is the loop over displacements that it takes without an extension in C++.
"""

from tests.benchmarks.convnets import main
from tests.benchmarks.flow_sides import MODELS

if __name__ == "__main__":
    main("flow", MODELS, batch=1, side=256)
