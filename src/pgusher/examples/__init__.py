"""Programs to learn from, installed with the package so that they run where it does."""
