"""Pages that are drawn: simulated or real signals on paper of many makers, captured in many ways, with the truth."""
