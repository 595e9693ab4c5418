"""How well pages were read, and waves found: the public definitions, by name."""
