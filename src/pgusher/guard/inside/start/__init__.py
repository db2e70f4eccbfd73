"""A directory for PYTHONPATH, not a package to import: see `pgusher.guard.inside`."""
