"""What candidate fixes of the background step are worth, for those who decide on them."""
