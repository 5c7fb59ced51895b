"""The mosaic of calwebb_image3: what it holds, what it should hold, and by how much it is off."""
