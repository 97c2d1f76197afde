"""Plans against acts on real engines: what is checked is what is done."""
