"""What a fault of calwebb_image3, or of what it is given, is."""

from dataclasses import dataclass, field

__all__ = ["MosaicFault", "family"]


@dataclass(frozen=True)
class MosaicFault:
    """One thing that is wrong after the background step.

    Parameters
    ----------
    name, family : str
        What it is called, and what is broken.
    description : str
        What is done, in one sentence.
    calibrated : callable, optional
        Takes the open calibrated exposure, its rate and its number from 0; changes the first.
    members : callable, optional
        Takes the members of the association, returns those that calwebb_image3 is given.
    after : dict of str to callable, optional
        By step: takes an exposure and its number from 0 when the step is done, changes it.
    parameters : dict of str to dict, optional
        By step: parameters that it is run with.
    resampled : callable, optional
        Takes the mosaic when it was resampled, changes it before it is saved and looked at.
    written : callable, optional
        Takes the path of the mosaic when all is done, changes the files.
    """

    name: str
    family: str
    description: str
    calibrated: object = None
    members: object = None
    after: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    resampled: object = None
    written: object = None

    @property
    def of_files(self):
        """Whether calwebb_image3 is right, and its files are changed afterwards."""
        of_pipeline = (self.calibrated, self.members, self.after, self.parameters, self.resampled)
        return not any(of_pipeline)


def family(name, *faults):
    """Return faults of one family from name, description and hooks of each."""
    return tuple(MosaicFault(each, name, words, **what) for each, words, what in faults)
