-- The application's table. Nothing in the application has to know of pushes: the trigger writes them down, in the same
-- transaction as the change. A change that is rolled back is not told, one that is committed cannot be forgotten.

CREATE TABLE IF NOT EXISTS orders (
  id    INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,  -- a user, as sessions are bound to (Holdfast-User, bind())
  state TEXT NOT NULL
);

-- What is still to be told, in the order in which it happened. deliver.php takes rows away.
CREATE TABLE IF NOT EXISTS outbox (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Of this row only, also if the database is made anew and counts from 1 again.
  key     TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
  owner   TEXT NOT NULL,
  message TEXT NOT NULL,
  error   TEXT           -- why it cannot be sent at all; such a row stays, and is passed over
);

CREATE TRIGGER IF NOT EXISTS order_made AFTER INSERT ON orders
BEGIN
  INSERT INTO outbox (owner, message)
    VALUES (new.owner, json_object('type', 'order', 'id', new.id, 'state', new.state));
END;

CREATE TRIGGER IF NOT EXISTS order_changed AFTER UPDATE OF state ON orders WHEN new.state IS NOT old.state
BEGIN
  INSERT INTO outbox (owner, message)
    VALUES (new.owner, json_object('type', 'order', 'id', new.id, 'state', new.state));
END;
