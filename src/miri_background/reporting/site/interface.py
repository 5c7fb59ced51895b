"""What of the package other programs may use: the page is made from its docstrings."""

__all__ = ["INTERFACE", "TITLE"]

TITLE = "Python interface"

# By topic, in the order of the work: modules, of which the public names are shown.
INTERFACE = {
    "What is observed, and what is made of it": (
        "miri_background.observation",
        "miri_background.calibration_choice",
        "miri_background.run_directory",
    ),
    "Simulate and calibrate": (
        "miri_background.simulation.observing",
        "miri_background.references.choice",
        "miri_background.calibration.pipeline",
        "miri_background.calibration.image2",
        "miri_background.parallel",
    ),
    "Judge": (
        "miri_background.validation.products.stage2",
        "miri_background.validation.products.images",
        "miri_background.validation.judgement",
        "miri_background.validation.verdict.verdict",
        "miri_background.runs.check",
        "miri_background.outcomes",
    ),
    "Compare": (
        "miri_background.reporting.comparison.sides",
        "miri_background.reporting.comparison.page",
    ),
    "Average as the step should": ("miri_background.validation.prediction.clipping",),
    "Break on purpose": (
        "miri_background.detection.kill_matrix",
        "miri_background.detection.false_alarms",
    ),
}
