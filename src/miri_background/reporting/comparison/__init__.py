"""Two results side by side: what changed, by how much, and in which pixels."""
