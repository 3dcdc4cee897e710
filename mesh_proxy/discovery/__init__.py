"""Where the endpoints of a target are: files, DNS, Cloud Map."""
