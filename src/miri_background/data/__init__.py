"""The data that data_manifest.yaml names: where they are, and how they get here whole.

The default observation is simulated; other data sets were taken by others, and are looked for on
this machine before anybody asks a server for them.
"""
