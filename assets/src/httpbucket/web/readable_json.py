"""How the server writes JSON: for people too, who read receipts as often as programs do."""

from __future__ import annotations

from typing import Any

from flask.json.provider import DefaultJSONProvider

from httpbucket.domain.indented_json import indented


class ReadableJson(DefaultJSONProvider):
    """Indented, in the order in which it was put together, and with letters as they are."""

    sort_keys = False
    compact = False
    ensure_ascii = False

    def dumps(self, obj: Any, **options: Any) -> str:
        """Flask's own way for what `indented` does not know, and where options differ."""
        if options == {"indent": 2}:
            try:
                return indented(obj, 2)
            except TypeError:
                pass
        return super().dumps(obj, **options)
