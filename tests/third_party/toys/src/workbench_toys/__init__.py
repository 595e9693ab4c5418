"""Toys that show how a third party extends the workbench."""
