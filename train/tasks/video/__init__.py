"""A class or a number for a video: clips one by one, and their average."""
