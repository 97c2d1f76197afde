"""The database: schema and queries."""
