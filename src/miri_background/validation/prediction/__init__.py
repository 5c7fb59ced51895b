"""What is expected: clipping, noise of slopes, light that stays, masks."""
