"""The vehicle (EVCC): its plug-in points, and what drives them."""
