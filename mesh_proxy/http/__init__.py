"""HTTP as the proxy speaks it on both sides: what is a header, a body, a stream, a status."""
