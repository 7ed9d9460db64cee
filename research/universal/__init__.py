"""Universal potentials on the course's structures; see README.md."""
