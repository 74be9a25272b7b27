<?php
// The whole application. php-fpm runs it once for each thing that happens to a client of the chat:
//
//   connect   somebody opens ws://HOST/ws?name=Ann&room=lobby   -> let them in, or refuse with a status
//   message   they said something                               -> answer, or publish to the room
//   close     they are gone                                     -> tell the room
//
// Nothing stays in memory between two of them: names and history are in SQLite, connections are Holdfast's.

declare(strict_types=1);

require __DIR__ . '/../../clients/php/Holdfast.php';

const HISTORY = 30;       // lines a newcomer gets
const KEPT = 1000;        // lines a room keeps
const MAX_TEXT = 8000;    // bytes of one line

$event = Holdfast::event();
parse_str($_SERVER['QUERY_STRING'] ?? '', $query);
$name = trim(text($query['name'] ?? ''));
$room = text($query['room'] ?? 'lobby');

switch ($event->event) {
    case 'connect':
        on_connect($event->session, $name, $room);
        break;
    case 'message':
        on_message($event->session, $name, $room, $event->body);
        break;
    case 'close':
        on_close($event->session, $event->reason);
        break;
}

function on_connect(string $session, string $name, string $room): void
{
    if (!preg_match('/^[\p{L}\p{N} _.-]{1,24}\z/u', $name) || strlen($name) > 64) {
        refuse(403, 'A name has 1 to 24 letters, digits, blanks, or . _ -');
        return;
    }
    if (!preg_match('/^[a-z0-9-]{1,32}\z/', $room)) {
        refuse(403, 'A room has 1 to 32 of a-z, 0-9 and -');
        return;
    }
    // First into the room, then what was said before: in the other order (or with a header Holdfast-Join, which acts when
    // this script has ended) a line could fall between the two. One that falls into both is known by its id, see
    // index.html. All of it arrives behind the hand-shake.
    holdfast()->addChannel("room:$room", $session);
    $db = db();
    $db->prepare('INSERT OR REPLACE INTO members (session, name, room) VALUES (?, ?, ?)')
        ->execute([$session, $name, $room]);
    holdfast()->sendMsg($session, json(['type' => 'history', 'lines' => history($room), 'members' => members($room)]));

    // In one answer: who this is, and a notice to everybody in the room, the newcomer included.
    header("Holdfast-User: $name");
    publish($room, ['type' => 'joined', 'name' => $name, 'members' => members($room)]);
}

function on_message(string $session, string $name, string $room, string $body): void
{
    $text = trim(text(json_decode($body, true)['text'] ?? ''));
    if ($text === '') {
        return;
    }
    if (strlen($text) > MAX_TEXT) {
        echo json(['type' => 'error', 'text' => 'That was too long.']);  // an answer without headers goes to the sender
        return;
    }
    if (strncmp($text, '/all ', 5) === 0) {
        holdfast()->sendAllMsg(json(['type' => 'said', 'name' => "$name (to everybody)", 'text' => substr($text, 5), 'at' => time()]));
        return;
    }
    $at = time();
    $db = db();
    $db->prepare('INSERT INTO lines (room, name, text, at) VALUES (?, ?, ?, ?)')->execute([$room, $name, $text, $at]);
    $id = (int) $db->lastInsertId();
    $db->prepare('DELETE FROM lines WHERE room = ? AND id <= (SELECT max(id) FROM lines) - ?')->execute([$room, KEPT]);
    publish($room, ['type' => 'said', 'id' => $id, 'name' => $name, 'text' => $text, 'at' => $at]);
}

// The name and room come from the database: after a crash of the server the close event has no hand-shake to read.
function on_close(string $session, string $reason): void
{
    $db = db();
    $find = $db->prepare('DELETE FROM members WHERE session = ? RETURNING name, room');
    $find->execute([$session]);
    $gone = $find->fetch(PDO::FETCH_ASSOC);
    $find->closeCursor();
    if ($gone !== false) {
        publish($gone['room'], ['type' => 'left', 'name' => $gone['name'], 'reason' => $reason,
            'members' => members($gone['room'])]);
    }
}

// The answer's body goes to the channel instead of to the sender.
function publish(string $room, array $message): void
{
    header("Holdfast-Publish: room:$room");
    echo json($message);
}

function refuse(int $status, string $why): void
{
    http_response_code($status);
    echo $why;
}

// What a client sends need not be what the page sends: a list where a word is expected, for one.
function text($value): string
{
    return is_string($value) ? $value : '';
}

function history(string $room): array
{
    $lines = db()->prepare('SELECT id, name, text, at FROM (SELECT * FROM lines WHERE room = ? ORDER BY id DESC LIMIT ?) ORDER BY id');
    $lines->execute([$room, HISTORY]);
    return $lines->fetchAll(PDO::FETCH_ASSOC);
}

function members(string $room): array
{
    $names = db()->prepare('SELECT DISTINCT name FROM members WHERE room = ? ORDER BY name');
    $names->execute([$room]);
    return $names->fetchAll(PDO::FETCH_COLUMN);
}

function db(): PDO
{
    static $db = null;
    if ($db === null) {
        $db = new PDO('sqlite:' . $_SERVER['CHAT_DB'], null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
        $db->exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
        $db->exec('CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, room TEXT NOT NULL, name TEXT NOT NULL,
            text TEXT NOT NULL, at INTEGER NOT NULL)');
        $db->exec('CREATE INDEX IF NOT EXISTS lines_of_room ON lines (room, id)');
        $db->exec('CREATE TABLE IF NOT EXISTS members (session TEXT PRIMARY KEY, name TEXT NOT NULL, room TEXT NOT NULL)');
    }
    return $db;
}

function holdfast(): Holdfast
{
    static $holdfast = null;
    return $holdfast ??= new Holdfast($_SERVER['CHAT_PUSH']);
}

function json(array $message): string
{
    return json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
}
