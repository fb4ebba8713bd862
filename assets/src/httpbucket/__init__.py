"""A content-addressed artifact store over HTTP, on local disk.

The map; imports run one way, and ``tests/test_architecture.py`` says so::

    config     Settings, read once from the environment
    wiring     the composition root: settings → stores → services
    domain     what things are: values and rules, no I/O
    content    how bytes are read: hashing, media types, archive files
    storage    where things are kept: the ports in storage.base, a module for each backend part
    services   what the product does: a verb each, given its ports
    web        HTTP: a blueprint per subject, one table of errors, the public JSON
    server     how it runs: gunicorn's configuration, background duties
    cli        the command line
"""

__version__ = "0.1.0"
