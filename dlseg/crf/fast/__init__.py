"""The fast parts of the dense CRF: permutohedral lattice, grid of positions, updates.

`filtering` builds the filter of a kernel (`lattice` on `vertices`, or `spatial`; both multiply by
tables, `sparse`); `updates` are the iterations. From outside, take `dlseg.crf`.
"""
