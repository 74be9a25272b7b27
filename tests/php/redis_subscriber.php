<?php
// redis_subscriber.php HOST PORT TOKEN CHANNEL... - run by redis.php: subscribes with the extension, and writes each
// message as a line of JSON, [channel, message in base64]. Ends at the message "end". HOST may be a socket's path.

declare(strict_types=1);

[, $host, $port, $token] = $argv;
$redis = new Redis();
$redis->connect($host, (int) $port, 5.0);
$redis->setOption(Redis::OPT_READ_TIMEOUT, 30);
if ($token !== '') {
    $redis->auth($token);
}
$redis->subscribe(array_slice($argv, 4), function (Redis $redis, string $channel, string $message): void {
    echo json_encode([$channel, base64_encode($message)]), "\n";
    if ($message === 'end') {
        $redis->close();
        exit(0);
    }
});
