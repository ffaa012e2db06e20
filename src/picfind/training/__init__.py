"""What needs torch: checkpoints to model folders, and the towers themselves.

export.py     checkpoint -> model folder, compared with its original
towers.py     CLIP's two towers in plain torch
"""

from __future__ import annotations
