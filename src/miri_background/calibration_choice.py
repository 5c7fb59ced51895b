"""What is made of an observation: a frozen, validated description of one calibration."""

from miri_background.files import content_key
from miri_background.parameters import CalibrationParameters

__all__ = ["Calibration"]


class Calibration(CalibrationParameters):
    """One way to calibrate: references, rate product, clipping, and what is broken on purpose.

    Raises
    ------
    InvalidParameter
        From `Calibration.create`, naming parameter, value and legal range.
    """

    @property
    def words(self):
        """What decides the products after the rates, short, for file names."""
        parts = [f"sigma{self.sigma:g}", f"maxiters{self.maxiters}"]
        if self.rate_product != "rate":
            parts.append(self.rate_product)
        if self.control != "none":
            parts.append(self.control.replace(" ", "-"))
        if self.through != "image2":
            parts.append(self.through)
        return "-".join(parts)

    @property
    def references_words(self):
        """Where references come from, short, for file names."""
        if self.crds_cache in ("synthetic", "home", "central"):
            words = self.crds_cache
        else:
            words = f"cache-{content_key(self.crds_cache)[:6]}"
        words = f"{words}-{self.crds_context.removesuffix('.pmap')}".removesuffix("-")
        words = f"{words}-dark{self.dark_groups}" if self.dark_groups else words
        return words if self.emicorr == "reference" else f"{words}-no-emicorr"

    @property
    def integrations_suffix(self):
        """What the names of products end with: "ints" for slopes of integrations, or nothing."""
        return self.rate_product.removeprefix("rate")
