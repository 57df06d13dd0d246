import GRDB

/// The versions of the schema, oldest first. A released version never changes: the next is added.
func migrations() -> DatabaseMigrator {
  var migrator = DatabaseMigrator()
  migrator.registerMigration("1") { db in try db.execute(sql: version1) }
  // The epoch under which a step was committed. 0, as in older runs, fits no worker's sum, so that
  // the step is computed again.
  migrator.registerMigration("2") { db in
    try db.execute(sql: "ALTER TABLE steps ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0")
  }
  // How a training saves memory. Older ones did not.
  migrator.registerMigration("3") { db in
    try db.execute(
      sql: "ALTER TABLE trainings ADD COLUMN recompute INTEGER NOT NULL DEFAULT 0")
  }
  migrator.registerMigration("4") { db in
    try db.execute(sql: "ALTER TABLE trainings ADD COLUMN precision TEXT NOT NULL DEFAULT 'f32'")
  }
  // Low-rank adapters; null where all weights were trained.
  migrator.registerMigration("5") { db in
    try db.execute(
      sql: """
        ALTER TABLE trainings ADD COLUMN adapter_rank INTEGER;
        ALTER TABLE trainings ADD COLUMN adapter_alpha REAL;
        ALTER TABLE trainings ADD COLUMN adapter_targets TEXT;
        """)
  }
  // What a step's commit told, by which it is applied, and what checkpoints are made of. Older runs
  // have neither: a state of theirs was one blob.
  migrator.registerMigration("6") { db in
    try db.execute(
      sql: """
        ALTER TABLE trainings ADD COLUMN replication INTEGER NOT NULL DEFAULT 2;
        ALTER TABLE steps ADD COLUMN tokens INTEGER;
        ALTER TABLE steps ADD COLUMN sum_of_squares REAL;
        CREATE TABLE saved_segments (
          training INTEGER NOT NULL, step INTEGER NOT NULL, segment INTEGER NOT NULL,
          weights BLOB NOT NULL, moments BLOB NOT NULL,
          PRIMARY KEY (training, step, segment)) WITHOUT ROWID;
        """)
  }
  // What is sent of sums and changes; f32 in older runs.
  migrator.registerMigration("7") { db in
    try db.execute(sql: "ALTER TABLE trainings ADD COLUMN wire TEXT NOT NULL DEFAULT 'f32'")
  }
  return migrator
}

/// - `jobs` holds what never changes and is large; `job_states` what changes and is small, so that
///   a turn of the loop rewrites few pages.
/// - Times are milliseconds since 1970, digests blobs of 32 bytes, tokens little-endian i32.
/// - Codes of purposes, states, outcomes and the like stand in Codes.swift.
private let version1 = """
  CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1), phase INTEGER NOT NULL, iteration INTEGER NOT NULL);

  CREATE TABLE workers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, boot INTEGER NOT NULL, kernel_set TEXT,
    joined INTEGER, left INTEGER, reason TEXT, busy_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, boot));

  CREATE TABLE instructions (
    id INTEGER PRIMARY KEY, image BLOB, text TEXT NOT NULL, task TEXT NOT NULL,
    record TEXT, turn INTEGER, parent INTEGER, written INTEGER, tuning INTEGER NOT NULL);
  CREATE INDEX instructions_tuning ON instructions (tuning);

  CREATE TABLE jobs (
    id INTEGER PRIMARY KEY, purpose INTEGER NOT NULL, iteration INTEGER, instruction INTEGER,
    presentation INTEGER, judge_attempt INTEGER, subject TEXT, eval_set INTEGER, item INTEGER,
    address BLOB NOT NULL, request BLOB NOT NULL);
  CREATE INDEX jobs_iteration ON jobs (iteration);

  CREATE TABLE job_states (
    job INTEGER PRIMARY KEY, state INTEGER NOT NULL, attempts INTEGER NOT NULL, holder INTEGER,
    accepted_attempt INTEGER, result INTEGER);

  CREATE TABLE attempts (
    job INTEGER NOT NULL, attempt INTEGER NOT NULL, worker INTEGER, leased INTEGER,
    outcome INTEGER, reporter INTEGER, ended INTEGER, failure INTEGER, failure_digest BLOB,
    failure_tokens INTEGER, failure_limit INTEGER, reason TEXT,
    PRIMARY KEY (job, attempt)) WITHOUT ROWID;
  CREATE INDEX attempts_failed ON attempts (job, attempt) WHERE outcome = 2;

  CREATE TABLE results (
    id INTEGER PRIMARY KEY, address BLOB NOT NULL UNIQUE, job INTEGER, attempt INTEGER,
    worker INTEGER, at INTEGER NOT NULL, stop INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    text TEXT NOT NULL, tokens BLOB NOT NULL);

  CREATE TABLE duplicates (
    job INTEGER NOT NULL, attempt INTEGER NOT NULL, worker INTEGER NOT NULL, equal INTEGER NOT NULL,
    at INTEGER NOT NULL, stop INTEGER, prompt_tokens INTEGER, text TEXT, tokens BLOB,
    PRIMARY KEY (job, attempt, worker)) WITHOUT ROWID;

  CREATE TABLE assessments (
    instruction INTEGER NOT NULL, iteration INTEGER NOT NULL,
    first_teacher REAL, first_student REAL, second_teacher REAL, second_student REAL,
    difficulty REAL, difficult INTEGER, last_text TEXT,
    PRIMARY KEY (iteration, instruction)) WITHOUT ROWID;

  CREATE TABLE proposals (
    source INTEGER NOT NULL, iteration INTEGER NOT NULL, outcome INTEGER NOT NULL,
    instruction INTEGER, rouge_l REAL, form TEXT,
    PRIMARY KEY (iteration, source)) WITHOUT ROWID;

  CREATE TABLE trainings (
    iteration INTEGER PRIMARY KEY, model BLOB NOT NULL, dataset BLOB NOT NULL,
    steps_total INTEGER NOT NULL, batch INTEGER NOT NULL, learning_rate REAL NOT NULL,
    warmup_ratio REAL NOT NULL, epochs INTEGER NOT NULL, weight_decay REAL NOT NULL,
    beta1 REAL NOT NULL, beta2 REAL NOT NULL, epsilon REAL NOT NULL, clip_norm REAL NOT NULL,
    trained INTEGER NOT NULL, virtual_ranks INTEGER NOT NULL, checkpoint_every INTEGER NOT NULL,
    seed INTEGER NOT NULL, planned_step INTEGER, planned_state BLOB,
    epoch INTEGER NOT NULL DEFAULT 0, export_model BLOB, export_weights BLOB);

  CREATE TABLE steps (
    training INTEGER NOT NULL, step INTEGER NOT NULL, loss REAL,
    PRIMARY KEY (training, step)) WITHOUT ROWID;

  CREATE TABLE checkpoints (
    training INTEGER NOT NULL, step INTEGER NOT NULL, state BLOB NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (training, step)) WITHOUT ROWID;

  CREATE TABLE evaluations (
    iteration INTEGER NOT NULL, eval_set INTEGER NOT NULL, subject TEXT NOT NULL,
    items INTEGER NOT NULL, correct INTEGER NOT NULL,
    PRIMARY KEY (iteration, eval_set, subject)) WITHOUT ROWID;

  CREATE TABLE evaluation_categories (
    iteration INTEGER NOT NULL, eval_set INTEGER NOT NULL, subject TEXT NOT NULL,
    place INTEGER NOT NULL, name TEXT NOT NULL, items INTEGER NOT NULL, correct INTEGER NOT NULL,
    PRIMARY KEY (iteration, eval_set, subject, place)) WITHOUT ROWID;

  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL,
    subject TEXT NOT NULL, words TEXT NOT NULL);
  """
