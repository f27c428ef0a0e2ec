"""`cartridge bench replay`: our replay beside other libraries' buffers, on the same work."""
