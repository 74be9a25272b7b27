<?php
// The client has to load where PHP is as old as 7.4.

declare(strict_types=1);

foreach (glob(dirname(__DIR__, 3) . '/{clients/php,examples/*,tests/php,tests/php/cases}/*.php', GLOB_BRACE) as $file) {
    test('syntax: ' . substr($file, strlen(dirname(__DIR__, 3)) + 1), function () use ($file): void {
        exec(escapeshellarg(PHP_BINARY) . ' -n -l ' . escapeshellarg($file) . ' 2>&1', $output, $status);
        same(0, $status, 'status of php -l (' . implode(' ', $output) . ')');
    });
}

test('syntax: the client uses nothing that is newer than PHP 7.4', function (): void {
    $source = file_get_contents(dirname(__DIR__, 3) . '/clients/php/Holdfast.php');
    $newer = ['T_MATCH', 'T_NULLSAFE_OBJECT_OPERATOR', 'T_ATTRIBUTE', 'T_ENUM', 'T_READONLY'];
    $functions = ['str_contains', 'str_starts_with', 'str_ends_with', 'get_debug_type', 'array_is_list'];
    $before = null;  // the token before, blanks aside
    foreach (PhpToken::tokenize($source) as $token) {
        $name = $token->getTokenName();
        yes(!in_array($name, $newer, true), "line $token->line is free of $name");
        yes(!in_array(strtolower($token->text), $functions, true), "line $token->line is free of $token->text");
        yes(!$token->is([T_PUBLIC, T_PRIVATE, T_PROTECTED]) || $before === null || !$before->is(['(', ',']),
            "line $token->line promotes no constructor parameter");
        yes(!$token->is(')') || !$before->is(',') || !self_declared($source, $token->pos),
            "line $token->line has no comma after the last parameter");
        yes(!$token->is([T_STATIC]) || !$before->is(':'), "line $token->line returns no static");
        yes(!$token->is(T_STRING) || $token->text !== 'mixed', "line $token->line has no type mixed");
        yes(!$token->is('|') || !preg_match('/^\|\w+ \$/', substr($source, $token->pos, 40)),
            "line $token->line has no union type");
        if (!$token->is([T_WHITESPACE, T_COMMENT, T_DOC_COMMENT])) {
            $before = $token;
        }
    }
});

// Does the parenthesis that is closed at $pos belong to a declaration?
function self_declared(string $source, int $pos): bool
{
    return preg_match('/^\)\s*(:\s*\??\w+\s*)?\{/', substr($source, $pos, 80)) === 1
        && preg_match('/function[^;{}]*$/', substr($source, 0, $pos)) === 1;
}
