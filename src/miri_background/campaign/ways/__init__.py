"""Ways to make a background of MIRI images, each written from its published description."""
