"""What the product does: one verb each, with its ports given to the constructor."""
