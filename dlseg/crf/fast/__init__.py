"""The fast parts of the dense CRF: permutohedral lattice, grid of positions, updates."""
