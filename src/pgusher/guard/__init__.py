"""The job guard: runs a command, ends it with all its descendants, and tells what became of it."""
