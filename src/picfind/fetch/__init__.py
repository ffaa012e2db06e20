"""The one way to the network: files of the model hub, whole and checked, or not at all.

hub.py       the hub's answers: bytes of an address, and its errors in our words
listing.py   what a repository holds
loading.py   its files into a folder: resumed, checked
"""

from __future__ import annotations

from picfind.fetch.listing import PARTS, HubFile, Listing, look_up
from picfind.fetch.loading import Progress, download

__all__ = ["PARTS", "HubFile", "Listing", "Progress", "download", "look_up"]
