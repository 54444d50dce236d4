"""One label a set of points: softmax cross entropy, and a matrix of features that is to turn alone."""
