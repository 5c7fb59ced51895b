"""How the pipeline is called, unmodified: calwebb_detector1, associations, calwebb_image2 and 3."""
