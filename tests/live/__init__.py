"""The whole of it against the truth: real servers, real processes, and what they say of themselves."""
