"""One gallery is one folder: `catalog.sqlite` says what exists, `segments/` holds the vectors, `indexes/` is a cache.

durable.py       the only place that writes, renames and flushes files
schema.py        the catalog's tables and their migrations
connection.py    how SQLite is opened, and what its errors mean
catalog.py       queries, transactions, the generation
segments.py      immutable files of vectors
roots.py         the places that pictures come from
names.py         what is recorded of names, contents, words and refusals
descriptions.py  what an answer shows of a picture
parts.py         what each vector stands for; spaces
vectors.py       the vectors of a space, mapped beside a writer
writer.py        the one writer: commits and merging
store.py         the gallery's folder
upkeep.py        compact, purge, status
adoption.py      taking over another gallery
health.py        check and repair
"""
