"""The reference driver: containers and domains in memory."""
