"""Guards stand between the model's tool calls and the tools: see base.py."""
