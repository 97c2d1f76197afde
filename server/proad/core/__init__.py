"""The logic between the contract and the drivers."""
