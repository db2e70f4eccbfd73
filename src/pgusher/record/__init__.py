"""The memory: what held which slot when, as intervals. It is written by one recorder, and read beside it."""
