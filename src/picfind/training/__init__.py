"""What needs torch: models that learn, and checkpoints to model folders.

run.py         a training run: recipe, data, loop, model           `picfind train`
recipe.py      TOML to frozen dataclasses, by checked.py; recipes/ has those that come with picfind
scratch.py     the kind `clip`: vision.py, text.py, vocabulary.py, pixels.py
joint.py       the kind `joint`: heads.py over frozen.py; tuned.py and backbones.py where towers learn too
adapt.py       the kind `adapt`                builtin/     the kind `builtin`
captioned.py   pictures with captions out of any source            features.py   kept vectors of frozen towers
loop.py        steps, validations, checkpoints                     objectives.py, validation.py
saving.py      a run's folder                                      curves.py
publishing.py  a trained model as a folder with a card

export.py      checkpoint -> model folder, compared with its original      `picfind models export`
towers.py      CLIP's two towers in plain torch
"""

from __future__ import annotations
