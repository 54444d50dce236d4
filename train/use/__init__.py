"""What one does with a run that is there: measure it again, predict with it, look into it, repeat it."""
