"""The use cases, and the only place where sources, attribution and configuration are wired together."""
