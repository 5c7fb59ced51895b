"""The MIRISim back-end: the same observation through the instrument team's simulator.

MIRISim is in no package index and needs an older Python, so it is driven by its command
line in an environment of its own, and all that is known about it is read from what users
of it have published and from the source of its detector simulator, SCASim (MiriTE 7.9).
"""
