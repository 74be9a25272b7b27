#!/usr/bin/env bash
# bench/handover.sh - what a reload costs: how long clients hear nothing, how long it takes in all, and how far the
# handover is from what moving descriptors costs at least.
#
# For 1,000, 10,000 and 100,000 WebSockets on loopback, three rounds: a freshly started holdfastd, 1,000 clients that get 50
# messages a second each, three reloads; in alternation with the floor (holdfast-handover-floor) in batches of 64, as the
# server's, and of 253, the most the kernel takes. Prints a table in Markdown. Exit status: 0; 1 a message was lost, doubled
# or out of order, a connection was closed, or a reload failed; 2 something did not start.
#
#   bench/handover.sh [CONNECTIONS:WORKERS:CLIENT_PROCESSES...]     default 1000:2:1 10000:2:1 100000:8:8
#
# A process may hold `ulimit -n` descriptors: workers and client processes are as many as that asks for. ROUNDS, RELOADS
# and MEMBERS change the numbers above; KEEP=DIR keeps each run's JSON there. HOLDFASTD=FILE, HOLDFAST_BENCH=FILE and
# HOLDFAST_HANDOVER_FLOOR=FILE use these programs and build nothing.

source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

rounds=${ROUNDS:-3} reloads=${RELOADS:-3} members=${MEMBERS:-1000}
sizes=("$@")
[ $# -gt 0 ] || sizes=(1000:2:1 10000:2:1 100000:8:8)

if [ -z "${HOLDFASTD:-}" ] || [ -z "${HOLDFAST_BENCH:-}" ] || [ -z "${HOLDFAST_HANDOVER_FLOOR:-}" ]; then
  need "${build_packages[@]}" libbenchmark-dev
  configure build --buildtype=release -Dbench=true
  ninja -C build >&2
fi
holdfastd=${HOLDFASTD:-build/master/holdfastd}
bench=${HOLDFAST_BENCH:-build/bench/holdfast-bench}
floor=${HOLDFAST_HANDOVER_FLOOR:-build/bench/holdfast-handover-floor}
ulimit -n "$(ulimit -Hn)"

dir=$(mktemp -d)
server=
failed() { say "$*"; exit 2; }
stop_server() {
  [ -n "$server" ] || return 0
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
finish() {
  stop_server
  if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP" && cp "$dir"/*.json "$dir"/*.log "$KEEP" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 2' INT TERM

free_port() {
  local try
  for _ in $(seq 50); do
    try=$((20000 + RANDOM % 10000))
    (: < "/dev/tcp/127.0.0.1/$try") 2>/dev/null || { echo "$try"; return; }
  done
  failed "no free port found"
}

# start_server CONNECTIONS WORKERS: of its own port, so that no closed connection of the last one is in the way. Nobody
# pings: the 1,000 clients are all that moves.
start_server() {
  port=$(free_port)
  rm -rf "$dir/run" "$dir/holdfast.log"
  cat > "$dir/holdfast.toml" <<TOML
[server]
instance = "handover-$$"
runtime_dir = "$dir/run"
workers = $2
[limits]
max_sessions = $(($1 + 1000))
[[listen]]
address = "127.0.0.1:$port"
path = "/ws"
backend = "relay"
backlog = 4096
ping_interval = "0s"
idle_timeout = "0s"
[[api]]
address = "unix:$dir/api.sock"
protocol = "http"
TOML
  "$holdfastd" -c "$dir/holdfast.toml" > "$dir/holdfast.log" 2>&1 &
  server=$!
  for _ in $(seq 200); do
    [ "$(grep -c 'worker ready' "$dir/holdfast.log")" -lt "$2" ] || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  cat "$dir/holdfast.log" >&2
  failed "holdfastd did not start"
}

bad=0
run_server() {
  local connections=$1 workers=$2 processes=$3 status=0
  start_server "$connections" "$workers"
  timeout 300 "$bench" handover -n "$connections" --processes "$processes" --members "$members" --reloads "$reloads" \
    -a "127.0.0.1:$port" --api "unix:$dir/api.sock" --control "$dir/run/control.sock" --server-log "$dir/holdfast.log" \
    --json > "$dir/one" || status=$?
  [ -s "$dir/one" ] || failed "no result for $connections connections"
  cat "$dir/one" >> "$dir/server.$connections.json"
  [ "$status" -eq 0 ] || { bad=1; cat "$dir/one" >&2; }
  stop_server
  cp "$dir/holdfast.log" "$dir/server.$connections.log"
}

run_floor() {
  local batch
  for batch in 64 253; do
    "$floor" "$1" --slots "$2" --batch "$batch" --json >> "$dir/floor$batch.$1.json" || failed "the floor failed"
  done
}

# numbers FILE REGEX: of what stands behind it, sorted.
numbers() { grep -oE "$2[0-9.]+" "$1" | sed 's/.*[^0-9.]//' | sort -g; }
median() { awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
range() { awk -v p="$1" 'NR == 1 { low = $1 } { v[NR] = $1 } END { printf "%." p "f (%." p "f to %." p "f)", v[int((NR + 1) / 2)], low, v[NR] }'; }
sum() { numbers "$1" "\"$2\":" | awk '{ s += $1 } END { print s + 0 }'; }

for round in $(seq "$rounds"); do
  for size in "${sizes[@]}"; do
    IFS=: read -r connections workers processes <<< "$size"
    say "round $round: $connections connections, $workers workers"
    if [ $((round % 2)) -eq 1 ]; then
      run_floor "$connections" "$workers"
      run_server "$connections" "$workers" "$processes"
    else
      run_server "$connections" "$workers" "$processes"
      run_floor "$connections" "$workers"
    fi
  done
done

silence='"max_ms":' middle='"max_ms":[0-9.]+,"median_ms":'
# silences KEY REGEX FILE: of the windows KEY (baseline, reload).
silences() { grep -oE "\"$1\":\{[^}]*\}" "$3" > "$dir/part"; numbers "$dir/part" "$2"; }

printf 'Medians of %d rounds with %d reloads each (smallest to largest); %s processors, loopback.\n\n' \
  "$rounds" "$reloads" "$(nproc)"
columns=('connections' 'workers' 'longest silence, ms' 'median client, ms' 'without a reload, ms' 'whole reload, ms'
  'handed over a second' 'floor, 64' 'floor, 253' 'server / floor, 64' 'lost, doubled, closed')
printf '|'; printf ' %s |' "${columns[@]}"
printf '\n|'; for _ in "${columns[@]}"; do printf -- '---|'; done; printf '\n'
for size in "${sizes[@]}"; do
  IFS=: read -r connections workers processes <<< "$size"
  file=$dir/server.$connections.json
  grep -oE '"handed_over":\{[^}]*\}' "$file" > "$dir/handed.part" || failed "the log tells of no handover"
  floor64=$(numbers "$dir/floor64.$connections.json" '"per_second":' | median)
  handed=$(numbers "$dir/handed.part" '"per_second":' | median)
  printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s, %s, %s |\n' "$connections" "$workers" \
    "$(silences reload "$silence" "$file" | range 0)" "$(silences reload "$middle" "$file" | range 0)" \
    "$(silences baseline "$silence" "$file" | range 0)" \
    "$(numbers "$file" '"total_ms":' | range 0)" \
    "$(numbers "$dir/handed.part" '"per_second":' | range 0)" \
    "$(numbers "$dir/floor64.$connections.json" '"per_second":' | range 0)" \
    "$(numbers "$dir/floor253.$connections.json" '"per_second":' | range 0)" \
    "$(awk -v a="$handed" -v b="$floor64" 'BEGIN { printf "%.2f", a / b }')" \
    "$(($(sum "$file" missing) + $(sum "$file" undelivered)))" "$(sum "$file" duplicates)" \
    "$(($(sum "$file" closed_early) + $(sum "$file" broken)))"
done
[ "$bad" -eq 0 ] || printf '\nBAD: see the messages above\n'
exit "$bad"
