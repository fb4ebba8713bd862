"""What things are: values and rules; the standard library alone, no I/O, clock or environment."""
