"""The process that has the keys: who may talk to it, its socket, and its life beside the workers."""
