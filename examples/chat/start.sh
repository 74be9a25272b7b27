#!/usr/bin/env bash
# start.sh BUILD_DIR STATE_DIR - a private php-fpm and holdfastd for the chat, in the foreground; both end together.
#
# HF_CHAT_PORT (8080) and HF_CHAT_API (8081) choose the ports; 0 takes free ones, see STATE_DIR/run/listeners.
# Exit status 0 when it was stopped (Ctrl-C, SIGTERM, hang-up) and the server has ended well.
set -euo pipefail

[ "$#" -eq 2 ] || { echo "usage: start.sh BUILD_DIR STATE_DIR" >&2; exit 2; }
example=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "$1" && pwd)
mkdir -p "$2"
state=$(cd "$2" && pwd)
identity="; runs as whoever started it"
fpm_flags=()
if [ "$(id -u)" -eq 0 ]; then
  identity=$'user = root\ngroup = root'
  fpm_flags=(-R)
fi

fill() {
  local text
  text=$(cat "$1")
  # Quoted: an unquoted & in a path would stand for the word that is replaced.
  text=${text//@STATE@/"$state"}
  text=${text//@EXAMPLE@/"$example"}
  text=${text//@IDENTITY@/"$identity"}
  text=${text//@INSTANCE@/"${HF_CHAT_INSTANCE:-chat}"}
  text=${text//@PORT@/"${HF_CHAT_PORT:-8080}"}
  text=${text//@API@/"${HF_CHAT_API:-8081}"}
  printf '%s\n' "$text"
}

fill "$example/php-fpm.conf" > "$state/php-fpm.conf"
fill "$example/chat.toml" > "$state/chat.toml"
rm -f "$state/php-fpm.sock"

# Nobody is in a room before the server runs. A server that was killed has sent no close events for those who were.
php8.2 -r '
  if (!is_file($argv[1])) exit;
  $db = new PDO("sqlite:$argv[1]");
  if ($db->query("SELECT 1 FROM sqlite_master WHERE name = \"members\"")->fetch()) $db->exec("DELETE FROM members");
' "$state/chat.sqlite"

php-fpm8.2 -F -O "${fpm_flags[@]}" -y "$state/php-fpm.conf" &
fpm=$!
server=
stop() {
  trap '' INT TERM HUP  # another one must not leave php-fpm behind
  # holdfastd first: it still has close events to deliver.
  local status=0
  if [ -n "$server" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || status=$?
  fi
  kill -TERM "$fpm" 2>/dev/null && wait "$fpm" || true
  return "$status"
}
trap stop EXIT
trap 'trap - EXIT; stop && exit 0 || exit $?' INT TERM HUP

for _ in $(seq 100); do
  [ -S "$state/php-fpm.sock" ] && break
  kill -0 "$fpm" 2>/dev/null || { echo "php-fpm did not start, see above and $state/php-fpm.log" >&2; exit 1; }
  sleep 0.1
done
[ -S "$state/php-fpm.sock" ] || { echo "php-fpm is not ready after 10 seconds" >&2; exit 1; }

"$build/master/holdfastd" -c "$state/chat.toml" &
server=$!

# Whichever ends first takes the other one with it.
wait -n "$server" "$fpm" && status=0 || status=$?
if kill -0 "$server" 2>/dev/null; then
  echo "php-fpm has ended (status $status)" >&2
  exit 1
fi
exit "$status"
