"""How well models find: judged queries asked of a gallery, and what comes of it as figures.

metrics.py      rankings and their measures; pure
statistics.py   intervals by bootstrap, differences with a test; pure
trials.py       which queries are asked of which pictures
vectors.py      the vectors of a dataset's pictures, out of a gallery
scoring.py      one model at one trial
speed.py        how fast a model is, and how much memory it takes
results.py      what came of it all
listing.py      the pictures that are taken
entrants.py     the models that take part
running.py      a judged dataset through several models
own.py          queries out of a person's own gallery
advice.py       which model to take
"""
