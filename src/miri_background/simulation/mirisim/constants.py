"""What MIRISim assumes about telescope and detector: for references that match its ramps.

Detector values are those of the source code of SCASim (MiriTE 7.9, ``detector_properties.py``
and ``parameters.py``), telescope values the defaults of MIRISim's ``simulator.ini``.
"""

__all__ = [
    "MIRISIM_GAIN",
    "MIRISIM_MODES",
    "MIRISIM_PIXEL_SCALE",
    "MIRISIM_SATURATION",
    "MIRISIM_TELESCOPE_AREA",
    "MIRISIM_TELESCOPE_TRANSMISSION",
]

MIRISIM_GAIN = 5.5  # electron / DN, the mean of the calibration product GAIN; GAINCF in headers
# DN: the map that STScI's validation notebooks give to the saturation step for MIRISim's
# ramps, 15 % below the hard clip at the full well (64 495 DN).
MIRISIM_SATURATION = 55_000.0

MIRISIM_TELESCOPE_AREA = 25.032  # m^2, telescope_area
MIRISIM_TELESCOPE_TRANSMISSION = 0.88  # tau_telescope at launch (rel_obsdate = 0)

# arcsec along x and y, header of the CDP-7 DISTORTION product: 0.11046 and 0.11148, rounded
# to what differs least from the flight values.
MIRISIM_PIXEL_SCALE = (0.1105, 0.1113)

# Names of the readout modes in simulation.ini.
MIRISIM_MODES = {"FASTR1": "FAST", "SLOWR1": "SLOW"}
