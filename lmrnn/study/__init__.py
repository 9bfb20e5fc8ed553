"""A study: its configuration, its grid of cells, a cell's file, and what it asks of the machine."""
