"""Content-Security-Policies (https://www.w3.org/TR/CSP3/): what pages may do in a browser.

Nothing that was uploaded ever runs as a part of ours. Kept files lie under our own origin too, so
that a page without a script of ours allows none at all.
"""

from __future__ import annotations

#: Uploaded pages may run their scripts, but in an origin of their own that is nobody's.
CONTENT_POLICY = "sandbox allow-scripts allow-popups allow-forms"

_LOCKED = "base-uri 'none'; frame-ancestors 'none'"


def page_policy(content_source: str = "") -> str:
    """For our own pages, and all else that is no content. Forms lead to us alone."""
    return (
        f"default-src 'none'; style-src 'self'; img-src 'self'{content_source}; "
        f"form-action 'self'; {_LOCKED}"
    )


def script_policy(content_source: str = "") -> str:
    """For a page with a script of ours, which may ask the server."""
    return f"{page_policy(content_source)}; script-src 'self'; connect-src 'self'"


def view_policy(content_source: str = "") -> str:
    """For the page about a file, which has no form either."""
    return (
        f"default-src 'none'; style-src 'self'; img-src 'self'{content_source}; "
        f"form-action 'none'; {_LOCKED}"
    )
