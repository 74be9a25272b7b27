<?php
// fake_server.php SOCKET PLAN - plays the server's part, with exactly the bytes and closes that a test wants.
//
// PLAN is a file with JSON: a list of connections, in the order they are accepted; each is a list of steps.
//   "request"    read one request (headers, and the body that Content-Length announces)
//   "head"       read the headers of one only
//   "resp COUNT" read so many RESP commands
//   "send BYTES" write them
//   "await"      until the client closes; what comes meanwhile is thrown away
//   "run COMMAND" have the shell do something
//   "wait FILE"   until there is such a file
//   "close"      close the connection before it has come to its last step
//   "leave"      go on with the next connection, this one stays open
// After its last step a connection is closed. Every request read is a line on the standard output: a JSON string, and of
// RESP a list of the command's words.

declare(strict_types=1);

$listener = stream_socket_server("unix://$argv[1].new");
rename("$argv[1].new", $argv[1]);  // it is seen only when it listens
$opened = [];
foreach (json_decode(file_get_contents($argv[2]), true) as $steps) {
    $connection = stream_socket_accept($listener, 30);
    if ($connection === false) {
        exit(1);
    }
    stream_set_timeout($connection, 30);
    foreach ($steps as $step) {
        [$verb, $bytes] = explode(' ', $step, 2) + [1 => ''];
        switch ($verb) {
            case 'request':
                echo json_encode(read_request($connection, true)), "\n";
                break;
            case 'head':
                echo json_encode(read_request($connection, false)), "\n";
                break;
            case 'resp':
                for ($i = 0; $i < (int) $bytes; $i++) {
                    echo json_encode(read_command($connection), JSON_INVALID_UTF8_SUBSTITUTE), "\n";
                }
                break;
            case 'send':
                fwrite($connection, $bytes);
                fflush($connection);
                break;
            case 'await':
                while (!in_array(fread($connection, 65536), ['', false], true)) {
                }
                break;
            case 'wait':
                for ($polls = 0; !file_exists($bytes); $polls++) {
                    $polls < 15000 || exit(3);
                    usleep(2000);
                }
                break;
            case 'run':
                exec($bytes);
                break;
            case 'close':
                fclose($connection);
                break;
            case 'leave':
                $opened[] = $connection;
                break;
            default:
                fwrite(STDERR, "no such step: $step\n");
                exit(2);
        }
    }
    if (is_resource($connection) && !in_array($connection, $opened, true)) {
        fclose($connection);
    }
}

function read_request($connection, bool $whole): string
{
    $request = '';
    while (substr($request, -4) !== "\r\n\r\n") {
        $line = fgets($connection);
        if ($line === false) {
            return "broken off: $request";
        }
        $request .= $line;
    }
    $length = preg_match('/\r\nContent-Length: (\d+)\r\n/', $request, $match) ? (int) $match[1] : 0;
    return $whole && $length > 0 ? $request . stream_get_contents($connection, $length) : $request;
}

function read_command($connection): array
{
    $words = [];
    for ($left = (int) substr((string) fgets($connection), 1); $left > 0; $left--) {
        $size = (int) substr((string) fgets($connection), 1);
        $words[] = substr((string) stream_get_contents($connection, $size + 2), 0, -2);
    }
    return $words;
}
