"""The sandbox: one contract suite for every backend, and what is special to each."""
