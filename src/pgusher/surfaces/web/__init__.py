"""The page of `pgusher serve`: who sits where, live, for every browser that has the token."""
