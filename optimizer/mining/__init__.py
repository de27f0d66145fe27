"""From rollouts to failures to clusters."""
