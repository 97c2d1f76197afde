"""The contract's example of each reason, played."""

from rpc.examples import access, requests, resources
from rpc.examples.registry import EXAMPLES

__all__ = ["EXAMPLES", "access", "requests", "resources"]
