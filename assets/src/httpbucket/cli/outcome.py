"""How a verb ends, for whoever started it."""

#: Done, and nothing was found that somebody should look at.
FINE = 0
#: It could not be done, or something was found: rotten blobs, names that nothing can fill.
FAILED = 1
#: The call or the settings hold a mistake.
MISTAKEN = 2
#: Ctrl-C: what was done is done, and another call goes on (128 + SIGINT, as shells tell it).
INTERRUPTED = 130
