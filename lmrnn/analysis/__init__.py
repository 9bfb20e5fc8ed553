"""A look into trained networks: units, clusters, rings, rotation."""

TABLES = ("rotation", "clusters", "units", "tuning", "planes")
