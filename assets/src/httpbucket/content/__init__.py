"""How bytes are read: streams in, streams and values out; knows no store and no HTTP."""
