"""Giving slots back: the plan and the look afterwards are pure; `act` is the only package that ends anything."""
