"""Why spend changed, and who changed what."""
