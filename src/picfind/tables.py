"""Tables of captions: CSV, JSON Lines and COCO-type JSON to rows."""
