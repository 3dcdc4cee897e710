"""From a request's head to a route and its target, and what a route does to requests besides."""
