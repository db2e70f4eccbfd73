"""Sources: each reads one thing (a server, the sockets, the processes ...) and returns facts and gaps.

A source never raises for lack of permission, for torn or vanishing entries or for a server that refuses: it returns a
`Gap` that says what is missing, why, and what would open it. Thin I/O only: what the facts mean is said elsewhere.
"""
