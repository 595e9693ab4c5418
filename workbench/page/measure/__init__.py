"""What is measured on an electrocardiogram: beats, waves, intervals and axes."""
