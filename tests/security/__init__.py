"""What no single room can show: secrets stay secret through the whole program."""
