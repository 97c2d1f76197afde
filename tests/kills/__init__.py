"""A daemon that is killed at chosen points of its requests, and what is expected of its heirs."""
