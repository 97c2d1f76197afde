"""The steps that lead a database from empty to today's schema."""
