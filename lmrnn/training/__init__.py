"""Training of one cell, from data to result; interruptible at every step."""
