"""Where the objects of an image are, of which class, and if asked which pixels and keypoints are theirs."""
