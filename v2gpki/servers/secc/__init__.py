"""The charging station (SECC): its plug-in points, and what drives them."""
