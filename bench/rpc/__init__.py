"""What our service costs beside gRPC itself: an echo of the same bytes, our messages alone, the real thing."""
