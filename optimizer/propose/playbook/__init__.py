"""A catalogue of known harness fixes and the proposer that draws on it."""
