"""`make bench`: what Proa costs over the bare engines, each promise as one figure."""
