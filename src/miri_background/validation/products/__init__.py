"""What was written: images, headers, associations, and how they are read."""
