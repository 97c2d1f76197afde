"""How the Docker Engine API is called: connections, threads, streams."""
