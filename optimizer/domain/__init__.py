"""The nouns: frozen values from the standard library, and the doors of the outside world as Protocols."""
