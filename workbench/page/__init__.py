"""Paper electrocardiograms, and the signals that they show."""
