"""How the criteria are tried: broken steps, and many correct ones."""
