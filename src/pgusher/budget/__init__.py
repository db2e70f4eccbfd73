"""The budget of a server, pure: who may take how many slots, what would fit, and how large a pool has to be."""
