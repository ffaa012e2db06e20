"""Groups of files that show one picture: what a person sees, with the file to keep and why others stay.

Only what was compared with the kept file itself is ever suggested for removal, and even that stays where it shows more
than the kept one or belongs to a shot (HEIC, JPEG and RAW of one name in one folder) of which another file stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from picfind.duplicates.alignment import Match
from picfind.duplicates.keeping import Candidate, date_of
from picfind.duplicates.pictures import File, Known, raw_beside
from picfind.duplicates.stars import Star

EXACT, PERCEPTUAL, VARIANTS, SEMANTIC = "exact", "perceptual", "variants", "semantic"
"""The same bytes; the same picture in other bytes; the files of one shot; other pictures of much the same."""
KINDS = (EXACT, PERCEPTUAL, SEMANTIC)
"""What can be asked for. Variants are found with perceptual ones."""

_ALL = 0.95
"""The share from which on all of a picture counts as shown; a box is good to about a pixel in 64."""
_MORE = 0.9
"""A copy of which the kept file shows less than this share stays."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a group. `path` is escaped as in a `Hit`; `content` is the SHA-256 of its bytes in hex.

    `score`: how well it matches the kept file, 1 for the same bytes (blocks' correlation; for semantic groups a cosine).
    `how`: in words. `stays`: why it is not suggested for removal; empty where it is, and for the kept file.
    """

    path: str
    content: str
    bytes: int
    format: str | None
    width: int
    height: int
    date: str | None
    score: float
    how: str
    stays: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that show one picture: the first is the one to keep."""

    kind: str
    members: tuple[Member, ...]

    @property
    def keeper(self) -> Member:
        """The file to keep."""
        return self.members[0]

    @property
    def surplus(self) -> tuple[Member, ...]:
        """The files that are suggested for removal: none of a semantic group, whose pictures are not copies."""
        return () if self.kind == SEMANTIC else tuple(one for one in self.members[1:] if not one.stays)


def wholeness(matches: Mapping[tuple[int, int], Match]) -> dict[int, float]:
    """For each picture with a match the least share that it shows of another one, 1 where it shows all of each."""
    shown: dict[int, float] = {}
    for (first, second), match in matches.items():
        for one, share in ((first, match.second), (second, match.first)):
            shown[one] = min(shown.get(one, 1.0), share if share < _ALL else 1.0)
    return shown


def described(match: Match, *, kept_first: bool) -> tuple[str, str]:
    """How a copy matches the kept file, in words, and why it stays, if it does."""
    of_kept, of_copy = (match.first, match.second) if kept_first else (match.second, match.first)
    words = [_TURNS[match.turn]] if match.turn else []
    if of_kept < _ALL:
        words.append(f"{of_kept:.0%} of it")
    if of_copy < _MORE:
        return ", ".join([*words, "shows more"]), "shows more than the kept file"
    return ", ".join(words) or "the whole picture", ""


_TURNS = (
    *("", "mirrored", "mirrored top to bottom", "turned by 180 degrees"),
    *(
        "turned by 90 degrees, mirrored",
        "turned by 90 degrees",
        "turned by 90 degrees",
        "turned by 90 degrees, mirrored",
    ),
)


def group_of(keeper: Candidate, copies: Iterable[tuple[Candidate, Match | None, str, str]]) -> Group:
    """A group from its kept file and the others, each with its match (None: the same bytes), its words, why it stays."""
    members = [_member(keeper, 1.0, "kept", "")]
    same = True
    for candidate, match, how, stays in copies:
        same = same and match is None
        members.append(_member(candidate, 1.0 if match is None else match.score, how, stays))
    return Group(EXACT if same else PERCEPTUAL, tuple(members))


def similar_group(keeper: Candidate, others: Iterable[tuple[Candidate, float]]) -> Group:
    """A semantic group: its first picture, and those that are near it, with their cosines."""
    members = [_member(keeper, 1.0, "kept", "")]
    members += [_member(one, cosine, "much the same", "another picture") for one, cosine in others]
    return Group(SEMANTIC, tuple(members))


def _member(candidate: Candidate, score: float, how: str, stays: str) -> Member:
    picture, file = candidate.picture, candidate.file
    return Member(
        file.path,
        picture.sha256.hex(),
        picture.size,
        picture.format,
        picture.width,
        picture.height,
        date_of(picture, file),
        score,
        how,
        stays,
    )


def keep_shots_together(groups: Sequence[Group], pictures: Iterable[Known]) -> list[Group]:
    """The same groups, in which no file is suggested for removal while another picture of its shot stays.

    A group of nothing else than the files of one shot is one of variants.
    """
    files = {file.path: (file, picture.sha256.hex()) for picture in pictures for file in picture.files}
    shots: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for path, (file, content) in files.items():
        shots.setdefault(file.shot, []).append((path, content))
    leaving = {one.path for group in groups for one in group.surplus}
    listed: dict[Path, frozenset[str]] = {}
    told = []
    for group in groups:
        members = []
        for one in group.members:
            file, content = files[one.path]
            others = [path for path, its in shots[file.shot] if its != content and path not in leaving]
            reason = _kept_by_shot(file, others, listed) if one.path in leaving else one.stays
            members.append(replace(one, stays=reason))
        one_shot = len({files[one.path][0].shot for one in members}) == 1 and group.kind == PERCEPTUAL
        told.append(Group(VARIANTS if one_shot else group.kind, tuple(members)))
    return told


def _kept_by_shot(file: File, others: Sequence[str], listed: dict[Path, frozenset[str]]) -> str:
    if others:
        return f"of one shot with {Path(others[0]).name}"
    return "its RAW lies beside it" if raw_beside(file, listed) else ""


def copies_of(
    star: Star[Match], keeper: Candidate, candidates: Mapping[int, Sequence[Candidate]]
) -> Iterable[tuple[Candidate, Match | None, str, str]]:
    """The other files of a star: those of the middle first, then those of each match, best first."""
    for candidate in candidates[star.middle]:
        if candidate is not keeper:
            yield candidate, None, "the same bytes", ""
    for other, match in sorted(star.around.items(), key=lambda pair: -pair[1].score):
        how, stays = described(match, kept_first=star.middle < other)
        for candidate in candidates[other]:
            yield candidate, match, how, stays
