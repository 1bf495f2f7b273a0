"""The exercises, one module per chapter: solutions, plausible mistakes and their hints."""
