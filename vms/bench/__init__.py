"""Benchmarks. Each module is one `manage.py bench NAME`: a function `run(arguments)` that returns what to print."""
