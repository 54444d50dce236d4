"""One number an example: squared error."""
