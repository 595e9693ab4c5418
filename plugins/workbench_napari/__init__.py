"""napari plugin of the workbench: the only package that knows Qt."""
