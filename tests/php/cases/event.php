<?php
// Holdfast::event() in a script that a real php-fpm runs for a real server.

declare(strict_types=1);

test('event: a script that Holdfast has not called is told so', function (): void {
    throws('no_event', 0, fn () => Holdfast::event());
    throws('no_event', 0, fn () => new HoldfastEvent(['HOLDFAST_EVENT' => 'connect'], ''));
    throws('no_event', 0, fn () => new HoldfastEvent(['HTTP_HOLDFAST_EVENT' => 'connect', 'SESSIONID' => 's'], ''));
    throws('no_event', 0, fn () => new HoldfastEvent(['HOLDFAST_EVENT' => 'other', 'SESSIONID' => 's'], ''));
});

test('event: connect, messages and close are told with all that belongs to them', function (): void {
    $fpm = new Fpm(dirname(__DIR__) . '/gateway_script.php');
    $push = (new TempDir())->path . '/push.sock';
    $gateway = new Gateway($fpm->tables() . "params = { PUSH = \"unix:$push\" }\n"
        . "[[api]]\naddress = \"unix:$push\"\nprotocol = \"http\"\n");
    $log = $gateway->connect('/ws?channel=log');
    $next = fn (): array => json_decode($log->text(), true);
    $client = $gateway->connect('/app', 1);
    $told = ['event' => 'connect', 'session' => $client->session, 'user' => '', 'body' => '', 'opcode' => '',
        'reason' => '', 'code' => 0, 'data' => []];
    same($told, $next(), 'connect');
    $client->send("caf\u{e9} & \0");
    $told['user'] = '42';
    $told['data'] = ['a.b[c]' => '1+1 = 2 & more', 'lang' => 'de'];
    $text = ['event' => 'message', 'body' => base64_encode("caf\u{e9} & \0"), 'opcode' => 'text'];
    same(array_merge($told, $text), $next(), 'message');
    $client->send("\xff\x00", true);
    $bytes = ['event' => 'message', 'body' => base64_encode("\xff\x00"), 'opcode' => 'binary'];
    same(array_merge($told, $bytes), $next(), 'binary message');
    $client->close(4005);
    same(array_merge($told, ['event' => 'close', 'reason' => 'client closed', 'code' => 4005]), $next(), 'close');
    $log->close();
    $gateway->stop();
    $fpm->stop();
});
