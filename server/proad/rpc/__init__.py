"""The gRPC side: servicers, conversion, status, interceptors."""
