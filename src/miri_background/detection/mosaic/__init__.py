"""How the criteria of the mosaic are tried: steps after the background step, broken on purpose."""
