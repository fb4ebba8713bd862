"""The store as plain files on a local disk; `layout` draws it."""
