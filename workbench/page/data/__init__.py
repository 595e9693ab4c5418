"""Files of pages and of electrocardiograms: nothing here knows a model."""
