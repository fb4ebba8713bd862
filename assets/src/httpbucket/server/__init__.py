"""How it runs: gunicorn, its configuration, and the duties in the background."""
