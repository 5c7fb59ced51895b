"""What the inputs are, before statistics decide: findings about the data, not about the step."""
