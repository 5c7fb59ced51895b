"""Measurements on the products, limits, and the verdict."""
