"""A look into trained networks: units, clusters, rings, rotation."""
