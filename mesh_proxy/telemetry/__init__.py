"""What the proxy tells: spans, mesh events, access logs, and their way out."""
