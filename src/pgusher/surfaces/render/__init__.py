"""Pure functions from frozen values to lines. Nothing here reads, waits or writes.

Every text passes `Screen.paint` on its way out, which makes it harmless: control characters become visible escapes,
and no line is wider than the terminal. A module that builds lines need not think of it, and cannot forget it.
"""
