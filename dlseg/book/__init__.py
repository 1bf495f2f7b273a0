"""Floor 6, the book: pictures, explorers, exercises, the manifest and the command line."""
