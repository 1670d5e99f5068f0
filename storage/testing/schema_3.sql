-- A store of schema version 3, made by make_schema_fixture.cc.
PRAGMA application_id = 1280591941;
PRAGMA user_version = 3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state INTEGER NOT NULL,
  state_reason TEXT NOT NULL DEFAULT '',
  -- CPU, ISA and oneDNN of `profile`; empty until that is set.
  profile_key TEXT NOT NULL DEFAULT '',
  create_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  profile BLOB,
  spec BLOB NOT NULL,
  baseline BLOB
, creator TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO jobs VALUES(1,1,'',replace('cpu\navx2\n2.6.3','\n',char(10)),1000000000,NULL,X'0a0363707512046176783218012205322e362e33',X'12056d6f64656c1a060a04646174612202726c300a',X'1a057374617473','');
CREATE TABLE counts (
  job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  next_number INTEGER NOT NULL DEFAULT 0,
  last_sequence INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
  leased INTEGER NOT NULL DEFAULT 0 CHECK (leased >= 0),
  measured INTEGER NOT NULL DEFAULT 0 CHECK (measured >= 0),
  infeasible INTEGER NOT NULL DEFAULT 0 CHECK (infeasible >= 0),
  failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
  quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined >= 0)
) STRICT;
INSERT INTO counts VALUES(1,3,7,1,1,1,0,0,0);
CREATE TABLE idempotency (
  request_id TEXT PRIMARY KEY,
  spec_digest TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO idempotency VALUES('request','7f931039d84f7116de1bcb02ce0604b9ec6e86138924424c26861d3fcfc54f8e',1);
CREATE TABLE trials (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  -- The event that ended the trial: the order of ending.
  end_sequence INTEGER,
  learn_sequence INTEGER,
  create_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  plan_digest TEXT NOT NULL,
  state_reason TEXT NOT NULL DEFAULT '',
  reused_from TEXT NOT NULL DEFAULT '',
  artifact_digest TEXT NOT NULL DEFAULT '',
  proposal BLOB NOT NULL,
  UNIQUE (job, number)
) STRICT;
INSERT INTO trials VALUES(1,1,0,3,1,6,1,1000000000,1000000000,'2c3425b4acd7490af452642a96062fd9433a8b97147e062bcaa7c565cbcdea09','','','artifact',X'0a0f0a0d0803100119000000000000f03f120474657374');
INSERT INTO trials VALUES(2,1,1,2,1,NULL,NULL,1000000000,NULL,'b16d380f60d9877da86dbf5e0d86e9807bfe2583a90eea7f1b764ccd81c7fbf2','','','',X'0a0f0a0d0803100219000000000000f03f120474657374');
INSERT INTO trials VALUES(3,1,2,1,0,NULL,NULL,1000000000,NULL,'4926180bd22494f8bb8b793f620060c636969b6bf1942defacf71f6e943ec11f','','','',X'0a0f0a0d0803100319000000000000f03f120474657374');
CREATE TABLE attempts (
  fence INTEGER PRIMARY KEY AUTOINCREMENT,
  trial INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
  session TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1,
  start_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  -- OutcomeKind; 0 while active and when it ended without an outcome.
  outcome INTEGER NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO attempts VALUES(1,1,'session',0,1000000000,1000000000,1,'');
INSERT INTO attempts VALUES(2,2,'session',1,1000000000,NULL,0,'');
CREATE TABLE measurements (
  trial INTEGER PRIMARY KEY REFERENCES trials (id) ON DELETE CASCADE,
  -- Digest of everything on which the measurement depends.
  reuse_key TEXT NOT NULL,
  measurement BLOB NOT NULL
) STRICT;
INSERT INTO measurements VALUES(1,'625a5f6fa84053e0a41417ac5c9f1c682595a8c964c229ecdd1e19c06d24bd48',X'11000000000000e83f590000000000002440ca01140a0363707512046176783218012205322e362e33d2010131');
CREATE TABLE rewards (
  trial INTEGER PRIMARY KEY REFERENCES trials (id) ON DELETE CASCADE,
  reward BLOB NOT NULL
) STRICT;
INSERT INTO rewards VALUES(1,X'09000000000000e03f');
CREATE TABLE frontier (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
INSERT INTO frontier VALUES(1,0);
CREATE TABLE agent_state (
  job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  learn_sequence INTEGER NOT NULL,
  state BLOB NOT NULL
) STRICT;
INSERT INTO agent_state VALUES(1,1,X'7374617465');
CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  -- NULL for an event of the job itself.
  number INTEGER,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL,
  counts BLOB NOT NULL,
  PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;
INSERT INTO events VALUES(1,1,1000000000,NULL,1,'',X'');
INSERT INTO events VALUES(1,2,1000000000,0,1,'',X'0801');
INSERT INTO events VALUES(1,3,1000000000,1,1,'',X'0802');
INSERT INTO events VALUES(1,4,1000000000,2,1,'',X'0803');
INSERT INTO events VALUES(1,5,1000000000,0,2,'',X'08021001');
INSERT INTO events VALUES(1,6,1000000000,0,3,'',X'08021801');
INSERT INTO events VALUES(1,7,1000000000,1,2,'',X'080110011801');
CREATE TABLE workers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session TEXT NOT NULL UNIQUE,
  is_cordoned INTEGER NOT NULL DEFAULT 0,
  time_us INTEGER NOT NULL,
  capabilities BLOB NOT NULL
, is_draining INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO workers VALUES(1,'session',0,1000000000,X'',0);
CREATE TABLE blobs (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  PRIMARY KEY (job, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO blobs VALUES(1,'artifact');
INSERT INTO blobs VALUES(1,'data');
INSERT INTO blobs VALUES(1,'model');
INSERT INTO blobs VALUES(1,'stats');
CREATE TABLE uploads (
  digest TEXT PRIMARY KEY,
  creator TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('jobs',1);
INSERT INTO sqlite_sequence VALUES('attempts',2);
INSERT INTO sqlite_sequence VALUES('workers',1);
CREATE INDEX jobs_leasable ON jobs (id) WHERE state IN (1, 2);
CREATE INDEX idempotency_by_job ON idempotency (job);
CREATE INDEX trials_pending ON trials (job, number) WHERE state = 1;
CREATE UNIQUE INDEX attempts_active ON attempts (trial) WHERE is_active = 1;
CREATE INDEX attempts_by_trial ON attempts (trial, fence);
CREATE INDEX measurements_by_key ON measurements (reuse_key, trial);
CREATE INDEX blobs_by_digest ON blobs (digest);
CREATE INDEX jobs_active ON jobs (creator) WHERE state IN (1, 2, 3);
CREATE INDEX uploads_by_creator ON uploads (creator, bytes);
CREATE UNIQUE INDEX trials_unlearned ON trials (job, end_sequence)
  WHERE learn_sequence IS NULL AND state >= 3;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_end ON jobs (end_time_us) WHERE end_time_us IS NOT NULL;
COMMIT;
