"""Scores of what was found on a page against what is known."""
