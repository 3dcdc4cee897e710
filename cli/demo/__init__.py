"""The demo: a small fintech mesh whose traffic flows through real proxies into a real Meshscope."""
