"""How networks of pages learn."""
