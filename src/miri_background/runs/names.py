"""The notebooks of this suite."""

__all__ = ["CLOSURE", "NAMES", "POWER", "VALIDATION"]

VALIDATION, CLOSURE, POWER = "image2_background", "simulator_closure", "detection_power"
NAMES = (VALIDATION, CLOSURE, POWER)
