"""The experiments of the chapter on geometric deep learning."""
