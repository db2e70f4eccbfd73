"""The programs of the incident. They are never imported: each is copied into the staging and run there as a script."""
