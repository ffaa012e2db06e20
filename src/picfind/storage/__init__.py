"""One gallery is one folder: `catalog.sqlite` says what exists, `segments/` holds the vectors, `indexes/` is a cache.

durable.py   the only place that writes, renames and flushes files
schema.py    the catalog's tables and their migrations
catalog.py   the connection, transactions, the generation
segments.py  immutable files of vectors
records.py   what is known of roots, names, contents and refusals
store.py     the gallery's folder: one writer, its commits, the vectors of a space
upkeep.py    compact, purge, adopt another gallery, check and repair
"""
