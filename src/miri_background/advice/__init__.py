"""Whether another sigma, or fewer exposures, would make a better background of the same rates."""
