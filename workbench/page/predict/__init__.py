"""From a page to its signals, in steps that can each be seen and corrected."""
