"""What applications import: pools that say who holds, lose nothing and know their place among all others.

Nothing is imported here: `pgusher.Pool` and the other public names are resolved on first use, since the driver below
them costs ten times what `import pgusher` does.
"""
