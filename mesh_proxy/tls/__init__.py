"""TLS on both sides: certificates, who is at the other end, and the connection itself."""
