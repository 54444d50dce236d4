"""Classes, values, or both, as directions of the network's output."""
