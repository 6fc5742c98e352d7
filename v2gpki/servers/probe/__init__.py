"""Looking at foreign stations and vehicles from the other side of the connection: what they offer, show and refuse."""
