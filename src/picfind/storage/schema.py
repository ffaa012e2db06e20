"""The catalog's tables, and how an older catalog becomes a newer one.

A migration is one script; it and the new `user_version` commit together. A script that has been released never
changes: what comes later is a further entry of MIGRATIONS.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A place that pictures come from. `location` may change (a moved folder); `volume` hints at the drive.
CREATE TABLE roots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    location TEXT NOT NULL,
    volume TEXT,
    added REAL NOT NULL,
    UNIQUE (kind, location)
);

-- Some bytes. Facts are those of the file's inside; they belong to the bytes, under whatever names they lie.
CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    format TEXT,
    width INTEGER,          -- pixels, upright
    height INTEGER,
    orientation INTEGER,    -- EXIF, 1 to 8
    taken TEXT,             -- ISO 8601, from EXIF
    camera_make TEXT,
    camera_model TEXT,
    lens TEXT,
    latitude REAL,          -- degrees, north and east positive
    longitude REAL,
    altitude REAL,          -- metres
    added REAL NOT NULL
);

-- A name of a source, pointing at content. What is gone has no row.
CREATE TABLE names (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root_id INTEGER NOT NULL REFERENCES roots ON DELETE CASCADE,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    content_id INTEGER NOT NULL REFERENCES contents,
    dated TEXT,             -- ISO 8601, the best date that the name itself has
    dated_from TEXT,        -- 'file name' or 'file time'
    words_hash TEXT NOT NULL,
    added REAL NOT NULL,
    UNIQUE (root_id, key)
);
CREATE INDEX names_content ON names (content_id);

-- A text, once; and whose it is: a name's (a file beside the picture) or a content's (a field inside the file).
CREATE TABLE texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL UNIQUE,
    text TEXT NOT NULL
);
CREATE TABLE words (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text_id INTEGER NOT NULL REFERENCES texts,
    name_id INTEGER REFERENCES names ON DELETE CASCADE,
    content_id INTEGER REFERENCES contents ON DELETE CASCADE,
    origin TEXT NOT NULL,
    kind TEXT NOT NULL,
    CHECK ((name_id IS NULL) <> (content_id IS NULL))
);
CREATE INDEX words_name ON words (name_id);
CREATE INDEX words_content ON words (content_id);
CREATE INDEX words_text ON words (text_id);

-- What one vector stands for: a picture, a region of it (box: four fractions), words, or a picture with its words.
CREATE TABLE parts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('picture', 'region', 'words', 'pair')),
    content_id INTEGER REFERENCES contents ON DELETE CASCADE,
    text_id INTEGER REFERENCES texts,
    box TEXT,
    CHECK ((kind = 'words') = (content_id IS NULL)),
    CHECK ((kind IN ('words', 'pair')) = (text_id IS NOT NULL)),
    CHECK ((kind = 'region') = (box IS NOT NULL))
);
CREATE UNIQUE INDEX parts_once ON parts (kind, ifnull(content_id, 0), ifnull(text_id, 0), ifnull(box, ''));
CREATE INDEX parts_content ON parts (content_id);
CREATE INDEX parts_text ON parts (text_id);

-- The work on a content that leaves no vector behind: its facts, recognised text, and so on.
CREATE TABLE done (
    content_id INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    task TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (content_id, task)
) WITHOUT ROWID;

CREATE TABLE spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    revision TEXT NOT NULL,
    dim INTEGER NOT NULL,
    added REAL NOT NULL,
    UNIQUE (name, revision)
);

-- An immutable file of vectors, and which part each of its rows is of. A row that is not listed is dead.
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id INTEGER NOT NULL REFERENCES spaces ON DELETE CASCADE,
    file TEXT NOT NULL UNIQUE,
    length INTEGER NOT NULL,
    crc32 INTEGER NOT NULL
);
CREATE TABLE rows (
    segment_id INTEGER NOT NULL REFERENCES segments ON DELETE CASCADE,
    row INTEGER NOT NULL,
    part_id INTEGER NOT NULL REFERENCES parts ON DELETE CASCADE,
    PRIMARY KEY (segment_id, row)
) WITHOUT ROWID;
CREATE INDEX rows_part ON rows (part_id);

-- Files that the catalog no longer needs but a reader of an earlier generation may be about to open.
CREATE TABLE retired (
    file TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) WITHOUT ROWID;

-- What could not be used. Lasting ones are not tried again until their fingerprint changes, or the limits do that
-- they were too large for.
CREATE TABLE refusals (
    root_id INTEGER NOT NULL REFERENCES roots ON DELETE CASCADE,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    reason TEXT NOT NULL,
    lasting INTEGER NOT NULL,
    limits TEXT,
    at REAL NOT NULL,
    PRIMARY KEY (root_id, key)
) WITHOUT ROWID;

-- Which contents a part can be an answer for: those that still have a name.
CREATE VIEW live AS
    SELECT p.id AS part_id, p.content_id FROM parts p
    WHERE p.kind IN ('picture', 'region') AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = p.content_id)
    UNION ALL
    SELECT DISTINCT p.id, n.content_id FROM parts p
    JOIN words w ON w.text_id = p.text_id
    JOIN names n ON n.id = w.name_id OR n.content_id = w.content_id
    WHERE p.kind IN ('words', 'pair') AND (p.content_id IS NULL OR p.content_id = n.content_id);

INSERT INTO meta VALUES ('generation', '0');
"""

_SPACES_AND_WORDS = """
-- What the vectors of a space stand for: pictures, words, or pictures joined with their words; and the ones that are
-- searched: the highest `chosen` of those that stand for pictures, and of those that stand for words.
ALTER TABLE spaces ADD COLUMN kind TEXT NOT NULL DEFAULT 'picture' CHECK (kind IN ('picture', 'words', 'pair'));
ALTER TABLE spaces ADD COLUMN chosen INTEGER NOT NULL DEFAULT 0;

-- All words of a name and of its content as one text, which its picture is joined with in a pair; NULL without any.
ALTER TABLE names ADD COLUMN text_id INTEGER REFERENCES texts;
CREATE INDEX names_text ON names (text_id);
-- Tells whether a table says something else of a name than it did when it was last given.
ALTER TABLE names ADD COLUMN table_hash TEXT NOT NULL DEFAULT '';

DROP VIEW live;
CREATE VIEW live AS
    SELECT p.id AS part_id, p.content_id FROM parts p
    WHERE p.kind IN ('picture', 'region') AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = p.content_id)
    UNION ALL
    SELECT p.id, p.content_id FROM parts p
    WHERE p.kind = 'pair'
    AND EXISTS (SELECT 1 FROM names n WHERE n.content_id = p.content_id AND n.text_id = p.text_id)
    UNION ALL
    SELECT DISTINCT p.id, n.content_id FROM parts p
    JOIN words w ON w.text_id = p.text_id
    JOIN names n ON n.id = w.name_id OR n.content_id = w.content_id
    WHERE p.kind = 'words';
"""

_TEXT_AND_CONCEPTS = """
-- What was read inside a picture: a line of it, and where it stands (four fractions: left, top, width, height).
CREATE TABLE recognised (
    content_id INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    line INTEGER NOT NULL,
    text TEXT NOT NULL,
    box TEXT NOT NULL,
    confidence REAL NOT NULL,   -- 0 to 1
    PRIMARY KEY (content_id, line)
) WITHOUT ROWID;

-- The full text of names (rowid is the name's id): what is said of them, what was read inside them, where they lie.
CREATE VIRTUAL TABLE said USING fts5(words, recognised, path, tokenize = 'porter unicode61 remove_diacritics 2');
CREATE TRIGGER said_new AFTER INSERT ON names BEGIN
    INSERT INTO said (rowid, words, recognised, path) VALUES (
        new.id,
        (SELECT text FROM texts WHERE id = new.text_id),
        (SELECT group_concat(text, char(10)) FROM recognised WHERE content_id = new.content_id),
        new.key
    );
END;
CREATE TRIGGER said_other AFTER UPDATE OF text_id, content_id, key ON names
WHEN old.text_id IS NOT new.text_id OR old.content_id <> new.content_id OR old.key <> new.key BEGIN
    UPDATE said SET
        -- what a path hints at is no word that somebody said, and the path is there by itself
        words = (SELECT text FROM texts WHERE id = new.text_id AND EXISTS (
            SELECT 1 FROM words w WHERE (w.name_id = new.id OR w.content_id = new.content_id)
            AND w.origin NOT IN ('file name', 'folder')
        )),
        recognised = (SELECT group_concat(text, char(10)) FROM recognised WHERE content_id = new.content_id),
        path = new.key
    WHERE rowid = new.id;
END;
CREATE TRIGGER said_no_more AFTER DELETE ON names BEGIN
    DELETE FROM said WHERE rowid = old.id;
END;
INSERT INTO said (rowid, words, path)
    SELECT n.id, t.text, n.key FROM names n LEFT JOIN texts t ON t.id = n.text_id AND EXISTS (
        SELECT 1 FROM words w WHERE (w.name_id = n.id OR w.content_id = n.content_id)
        AND w.origin NOT IN ('file name', 'folder')
    ) ORDER BY n.id;

-- What a person has ticked and crossed, under a name: a query, what is more and what is less like it, and how it is asked.
CREATE TABLE concepts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    query TEXT NOT NULL,        -- its terms, JSON; an empty list where there are examples alone
    filter TEXT NOT NULL,       -- as `--where` takes it; empty for none
    min_score REAL,
    added REAL NOT NULL,
    refreshed REAL              -- when its members were last written down
);
-- By what the bytes are, not by a row: a picture that comes back is still an example.
CREATE TABLE examples (
    concept_id INTEGER NOT NULL REFERENCES concepts ON DELETE CASCADE,
    sha256 BLOB NOT NULL,
    liked INTEGER NOT NULL,
    PRIMARY KEY (concept_id, sha256)
) WITHOUT ROWID;
-- Which pictures a concept had when it was last refreshed.
CREATE TABLE members (
    concept_id INTEGER NOT NULL REFERENCES concepts ON DELETE CASCADE,
    sha256 BLOB NOT NULL,
    added REAL NOT NULL,
    PRIMARY KEY (concept_id, sha256)
) WITHOUT ROWID;

-- For filters: places, dates without a look at the names themselves, and which pictures have words of a kind.
CREATE INDEX contents_place ON contents (latitude, longitude);
DROP INDEX names_content;
CREATE INDEX names_content ON names (content_id, dated, dated_from);
CREATE INDEX names_dated ON names (dated, content_id);
CREATE INDEX words_kind ON words (kind, origin, name_id, content_id);
-- The few contents with letters beyond ASCII, which SQLite's own LIKE cannot compare (conditions.py).
CREATE INDEX contents_unusual ON contents (id) WHERE
    length(ifnull(camera_make, '') || ifnull(camera_model, '') || ifnull(lens, '') || ifnull(format, ''))
    <> length(CAST(ifnull(camera_make, '') || ifnull(camera_model, '') || ifnull(lens, '') || ifnull(format, '') AS BLOB));
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SPACES_AND_WORDS, _TEXT_AND_CONCEPTS)
VERSION = len(MIGRATIONS)
"""The format that this picfind writes."""
