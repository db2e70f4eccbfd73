"""Frozen values that every stage takes and gives. Standard library only; nothing here reads, waits or blocks."""
