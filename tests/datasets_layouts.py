"""Published datasets in miniature: the very layouts of their owners, with pictures made on the spot."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from picfind.datasets import open_source, with_queries
from picfind.datasets.base import Judged, JudgedDataset
from picfind.types import Gap, Item
from tests.photos import photo_bytes, write_photo

CAPTIONS = ("A cat sits .", "The cat , again .", "A cat on a mat .", "Some cat .", "One cat .")


def opened(source: str) -> JudgedDataset:
    """A dataset with queries by its name."""
    return with_queries(open_source(source))


def listed(source: str) -> list[str]:
    """The keys of a dataset, which must have no gaps."""
    found = list(opened(source).items())
    assert all(isinstance(entry, Item) for entry in found), found
    return [entry.key for entry in found if isinstance(entry, Item)]


def items_of(source: str) -> dict[str, Item]:
    return {entry.key: entry for entry in opened(source).items() if isinstance(entry, Item)}


def gaps_of(source: str) -> list[Gap]:
    return [entry for entry in opened(source).items() if isinstance(entry, Gap)]


def queries_of(source: str) -> dict[str, Judged]:
    return {query.id: query for query in opened(source).queries()}


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_photos(root: Path, names: Iterable[str]) -> None:
    for seed, name in enumerate(names):
        write_photo(root / name, seed=seed)


def coco_captions(
    root: Path, split: str, year: str, pictures: Mapping[int, tuple[str, list[str]]], *, photos: bool = True
) -> Path:
    """`annotations/captions_SPLITYEAR.json` with all fields of the real one, and the pictures."""
    images = [
        {
            "license": 4,
            "file_name": name,
            "coco_url": f"http://images.cocodataset.org/{split}{year}/{name}",
            "height": 24,
            "width": 32,
            "date_captured": "2013-11-14 17:02:52",
            "flickr_url": f"http://farm7.staticflickr.com/6116/{number}_02bbf390d3_z.jpg",
            "id": number,
        }
        for number, (name, _) in pictures.items()
    ]
    said = [(number, text) for number, (_, texts) in pictures.items() for text in texts]
    annotations = [
        {"image_id": number, "id": at, "caption": text} for at, (number, text) in enumerate(reversed(said))
    ]
    if photos:
        write_photos(root / f"{split}{year}", (name for name, _ in pictures.values()))
    value = {
        "info": {"description": "COCO", "year": int(year), "contributor": ["[", "{"]},
        "licenses": [{"id": 4, "name": "Attribution License", "url": "http://creativecommons.org"}],
        "images": images,
        "annotations": annotations,
    }
    return write_json(root / "annotations" / f"captions_{split}{year}.json", value)


def karpathy(path: Path, pictures: Iterable[Mapping[str, Any]], *, dataset: str = "coco") -> Path:
    """`dataset_*.json`; each picture gives its `filename`, `split`, `captions` and other fields."""
    images = []
    for number, given in enumerate(pictures):
        captions = given.get("captions", CAPTIONS)
        sentences = [
            {"tokens": text.lower().split(), "raw": text, "imgid": number, "sentid": at}
            for at, text in enumerate(captions)
        ]
        fields = {name: value for name, value in given.items() if name != "captions"}
        images.append({"sentids": [0], "imgid": number, "sentences": sentences, **fields})
    return write_json(path, {"images": images, "dataset": dataset})


def coco_2014(root: Path) -> Path:
    """Karpathy's split of six pictures of 2014."""
    pictures = [
        {"filepath": folder, "filename": f"COCO_{folder}_{number:012}.jpg", "cocoid": number, "split": split}
        for number, folder, split in (
            (9, "train2014", "train"),
            (25, "train2014", "train"),
            (42, "val2014", "restval"),
            (73, "val2014", "val"),
            (74, "val2014", "test"),
            (133, "val2014", "test"),
        )
    ]
    write_photos(root, (f"{entry['filepath']}/{entry['filename']}" for entry in pictures))
    return karpathy(root / "dataset_coco.json", pictures)


def visual_genome(root: Path) -> Path:
    """Three pictures, one of them without regions; the first has a box that reaches out of it."""
    data = [
        {
            "image_id": number,
            "url": f"https://cs.stanford.edu/people/rak248/{folder}/{number}.jpg",
            "width": 32,
            "height": 24,
            "coco_id": None,
            "flickr_id": None,
        }
        for number, folder in ((1, "VG_100K_2"), (2, "VG_100K"), (3, "VG_100K"))
    ]
    boxes = [("a cat on a table", (8, 6, 16, 12)), ("the sky", (-2, 0, 40, 6))]
    regions = [
        {
            "region_id": 1382 + at,
            "image_id": 1,
            "phrase": phrase,
            **dict(zip(("x", "y", "width", "height"), box, strict=True)),
            "synsets": [],
        }
        for at, (phrase, box) in enumerate(boxes)
    ]
    write_photos(root, ("VG_100K_2/1.jpg", "VG_100K/2.jpg", "VG_100K/3.jpg"))
    write_json(root / "image_data.json", data)
    second = {**regions[0], "image_id": 2, "phrase": "a red wall", "region_id": 9}
    write_json(
        root / "region_descriptions.json", [{"regions": regions, "id": 1}, {"regions": [second], "id": 2}]
    )
    return root


def voc(root: Path, year: str = "2012") -> Path:
    """Five pictures: dogs, persons, and one where a dog can hardly be seen."""
    base = root / "VOCdevkit" / f"VOC{year}"
    sets = base / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    verdicts = {
        "2008_000001": (1, -1),
        "2008_000002": (1, 1),
        "2008_000003": (-1, 1),
        "2008_000004": (0, 1),
        "2008_000005": (-1, -1),
    }
    for split, names in (
        ("train", list(verdicts)[:3]),
        ("val", list(verdicts)[3:]),
        ("trainval", list(verdicts)),
    ):
        (sets / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for at, label in enumerate(("dog", "person")):
            lines = (f"{name} {verdicts[name][at]:2}\n" for name in names)
            (sets / f"{label}_{split}.txt").write_text("".join(lines))
    write_photos(base / "JPEGImages", (f"{name}.jpg" for name in verdicts))
    return root


def tar(path: Path, members: Iterable[tuple[str, bytes] | tarfile.TarInfo]) -> Path:
    """An archive of files, and of whatever else is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def shard(path: Path, names: Iterable[str], *, seed: int = 0) -> Path:
    """Samples as img2dataset writes them: a JPEG, its caption, and an object of what is known."""
    members: list[tuple[str, bytes] | tarfile.TarInfo] = []
    for number, name in enumerate(names, seed):
        known = {
            "caption": f"picture {name}",
            "key": name,
            "status": "success",
            "width": 32,
            "tags": ["red", 1],
        }
        members += [
            (f"{name}.jpg", photo_bytes(seed=number, form="JPEG")),
            (f"{name}.txt", f"picture {name}".encode()),
            (f"{name}.json", json.dumps(known).encode()),
        ]
    return tar(path, members)
