"""From the cells to curves: statistics over seeds, comparisons at the best learning rate, tables."""
