"""One request and its answer: attempts, retries, time limits, rescue."""
