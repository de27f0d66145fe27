"""sim: a seeded stochastic stand-in for a mid-size chat model. Everything it says is simulated."""
