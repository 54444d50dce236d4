"""Classification after a fixed matrix."""
