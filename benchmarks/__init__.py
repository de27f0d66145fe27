"""What harnesses are measured on: one folder each."""
