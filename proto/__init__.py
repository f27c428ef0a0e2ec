"""The wire contracts (.proto) and the stubs generated from them; `make stubs` writes these anew."""
