"""Duplicates: pictures that are there more than once, found, grouped, and moved aside where a person asks for it.

looks.py       a small grey picture of each picture         shelf.py     kept between runs     looking.py  made by threads
verdicts.py    what comparing two pictures gave, kept too
candidates.py  which pairs are worth a look: vectors, coarse patterns
framing.py     where one picture may lie inside another, roughly; all crops and turns at once
alignment.py   closely: the box refined, blocks compared     pairing.py   both, for all pairs
stars.py       pairs to groups, without chains               groups.py    what a person sees of them
pictures.py    what the catalog knows                        keeping.py   which file is kept
finding.py     from the catalog to groups
carrying.py    a file moved without loss, whatever happens   journal.py   what was moved where
moving.py      clean up, and undo it
"""

from picfind.duplicates.finding import SIMILAR, Duplicates, find_duplicates
from picfind.duplicates.groups import EXACT, KINDS, PERCEPTUAL, SEMANTIC, VARIANTS, Group, Member
from picfind.duplicates.keeping import RULES, Taste, taste
from picfind.duplicates.moving import Step, check_target, in_trash, move_surplus, trash_surplus, undo
from picfind.duplicates.pairing import ALIKE

__all__ = [
    "ALIKE",
    "EXACT",
    "KINDS",
    "PERCEPTUAL",
    "RULES",
    "SEMANTIC",
    "SIMILAR",
    "VARIANTS",
    "Duplicates",
    "Group",
    "Member",
    "Step",
    "Taste",
    "check_target",
    "find_duplicates",
    "in_trash",
    "move_surplus",
    "taste",
    "trash_surplus",
    "undo",
]
