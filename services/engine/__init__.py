"""The engine over gRPC: stateless calls, and leased slices of a batch that stays on the device."""
