"""How the simulator is tried: what the pipeline recovers of what was put in."""
