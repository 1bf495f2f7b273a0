"""Pictures and masks of your own, in the folders that people and programs make of them.

`Folder` is the data set. It learns which file is what from names (`layout`), which labels there
are from a list or from the masks (`classes`, `coding`), and reads the masks of any usual kind.
"""
