"""The drivers; each can be used alone from a script."""
