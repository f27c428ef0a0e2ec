"""Everything with a clock, a socket, a file path or an environment variable."""
