<?php
// gateway_script.php - run by php-fpm for event.php: tells everybody in the channel "log" what Holdfast::event() says.

declare(strict_types=1);

require dirname(__DIR__, 2) . '/clients/php/Holdfast.php';

$event = Holdfast::event();
$told = get_object_vars($event);
$told['body'] = base64_encode($event->body);
$holdfast = new Holdfast($_SERVER['PUSH']);
$holdfast->publish('log', $told);
if ($event->event === 'connect') {
    header('Holdfast-User: 42');
    header('Holdfast-Data: a.b[c]=1+1 = 2 & more');
    header('Holdfast-Data: lang=de', false);
}
