"""hone: the loop that improves an agent's harness, and its steps."""
