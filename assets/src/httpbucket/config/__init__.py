"""The settings, read once from the environment; ``docs/reference/configuration.md`` lists them."""

from httpbucket.config.settings import Settings
from httpbucket.config.values import Network

__all__ = ["Network", "Settings"]
