"""The machinery of the book: pictures, explorers, exercises, the manifest and its commands."""
