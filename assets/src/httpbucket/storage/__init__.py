"""Where things are kept: the ports in `base`, and a module for each part of each backend."""
