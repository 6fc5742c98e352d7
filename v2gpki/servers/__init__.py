"""What listens: HTTP services over the services of the house."""
