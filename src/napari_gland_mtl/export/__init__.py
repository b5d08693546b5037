"""Results written to files that other software opens, with where they came from."""
