"""The parts of the daemon's composition that `app.serving` puts together."""
