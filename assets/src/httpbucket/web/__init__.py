"""HTTP: the only package that imports flask or werkzeug."""
