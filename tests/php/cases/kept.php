<?php
// Channels whose messages are kept, against a real server, over each kind of address in both protocols: the same answers
// by all of them.

declare(strict_types=1);

$gateway = new Gateway("[[channel]]\npattern = \"kept *\"\nhistory_size = 3\n");

foreach (array_merge(Gateway::HTTP, Gateway::RESP) as $kind) {
    $hf = $gateway->client($kind);
    $channel = "kept $kind/1";

    test("kept by $kind: a publish has a position, a member gets it", function () use ($gateway, $hf, $channel): void {
        $client = $gateway->connect('/ws?channel=' . rawurlencode($channel));
        same(null, $hf->history($channel)['history']['position'], 'before there is a stream');
        $answer = $hf->publishKept([$channel, 'other'], 'one');
        same(['delivered' => 1, 'positions' => [$channel => $answer['positions'][$channel]]], $answer);
        yes(substr($answer['positions'][$channel], -2) === ':1', 'position: ' . shown($answer));
        same(['delivered' => 1], $hf->publishUnkept($channel, 'typing'));
        same(['one', 'typing'], [$client->text(), $client->text()], 'messages');
        $client->close();
    });

    test("kept by $kind: an old version reaches nobody", function () use ($hf, $channel): void {
        $new = $hf->publishKept($channel, ['price' => 2], 2);
        same([], $new['superseded'] ?? [], 'the new one');
        same(['delivered' => 0, 'positions' => $new['positions'], 'superseded' => [$channel]],
            $hf->publishKept($channel, ['price' => 1], 1));
    });

    test("kept by $kind: the history goes on over pages, forwards and backwards", function () use ($hf, $channel): void {
        $hf->publishKept($channel, "\xff\x00");
        $all = $hf->history($channel);
        same(['one', '{"price":2}', "\xff\x00"], array_column($all['messages'], 'data'), 'messages');
        same([$channel, true, false], [$all['channel'], $all['complete'], $all['more']]);
        same([1, 3, 0], [$all['history']['first'], $all['history']['messages'], $all['history']['early']]);
        yes(abs($all['messages'][0]['time_ms'] / 1000 - microtime(true)) < 60, 'time: ' . shown($all));
        $places = array_column($all['messages'], 'position');
        $page = $hf->history($channel, $places[0], 1);
        same([[$places[1]], true, true], [array_column($page['messages'], 'position'), $page['complete'], $page['more']]);
        $back = $hf->history($channel, $places[1], 10, true);
        same([[$places[0]], false, false],
            [array_column($back['messages'], 'position'), isset($back['complete']), $back['more']]);
        $hf->publishKept($channel, 'four');
        same([false, true], [$hf->history($channel)['complete'], $hf->history($channel, $places[0])['complete']]);
        same(false, $hf->history($channel, 'BBBBBBBB:1')['complete'], 'of another epoch');
    });

    test("kept by $kind: what is thrown away is gone, and offsets go on", function () use ($hf, $channel): void {
        same([0, 0], array_values(array_intersect_key($hf->deleteHistory($channel)['history'], ['first' => 1,
            'messages' => 1])));
        same([[], false], [$hf->history($channel)['messages'], $hf->history($channel)['complete']]);
        $position = $hf->publishKept($channel, 'five')['positions'][$channel];
        same(':5', substr($position, -2), 'offset');
    });

    test("kept by $kind: a channel without a stream has no history", function () use ($hf): void {
        throws_one_of(['no_history', 'refused'], fn () => $hf->history('plain'));
        throws_one_of(['no_history', 'refused'], fn () => $hf->deleteHistory('plain'));
        throws_one_of(['bad_request', 'refused'], fn () => $hf->history('kept x', 'no position'));
    });
}

unset($hf);
$gateway->stop();
