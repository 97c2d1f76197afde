"""Files of containers, by the archive API of the engine."""
