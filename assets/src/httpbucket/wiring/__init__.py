"""The composition root: everything is built here, once, and passed down."""

from httpbucket.services.product import Services
from httpbucket.wiring.local import open_local, open_original, warnings_of
from httpbucket.wiring.services import build
from httpbucket.wiring.stores import Stores

__all__ = ["Services", "Stores", "build", "open_local", "open_original", "warnings_of"]
