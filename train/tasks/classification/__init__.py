"""One label an example: softmax cross entropy."""
