"""How the pipeline is called, unmodified: calwebb_detector1, association, calwebb_image2."""
