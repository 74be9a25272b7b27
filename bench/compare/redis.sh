#!/usr/bin/env bash
# bench/compare/redis.sh - what a published message costs: holdfastd (2 workers, release) beside Debian's redis-server.
#
# Both on loopback, in one run, in alternation: 1,000 RESP subscribers of one channel, one publisher, 128-byte messages, at
# a fixed rate and as fast as it goes. Compared is the server's CPU (user and system, of all its processes) for each
# delivered message, as medians of three rounds. Exit status: 0 holdfast is cheaper in both, 1 it is not, 2 something failed:
# a message was lost or out of order, or the fixed rate was not kept. A server that gets no processor in time sends several
# messages with one write, which is cheaper; so the machine should have nothing else to do. Takes less than 90 seconds,
# building left out.
#
# HOLDFASTD=FILE and HOLDFAST_BENCH=FILE use these programs and build nothing.

source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

subscribers=1000 payload=128 rounds=3
rate=50  # publishes a second
fixed=(--rate "$rate" --duration 5)
saturated=(--outstanding 64 --duration 3)
limit=90

need redis-tools  # redis-server is a name of its redis-check-rdb; so no service is installed
if [ -z "${HOLDFASTD:-}" ] || [ -z "${HOLDFAST_BENCH:-}" ]; then
  need "${build_packages[@]}" libbenchmark-dev
  configure build --buildtype=release -Dbench=true
  ninja -C build >&2
fi
holdfastd=${HOLDFASTD:-build/master/holdfastd}
bench=${HOLDFAST_BENCH:-build/bench/holdfast-bench}

dir=$(mktemp -d)
declare -A pid port
failed() { say "$*"; exit 2; }
finish() {
  local name
  for name in "${!pid[@]}"; do kill -TERM "${pid[$name]}" 2>/dev/null || true; done
  for name in "${!pid[@]}"; do wait "${pid[$name]}" 2>/dev/null || true; done
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

start_holdfast() {
  cat > "$dir/holdfast.toml" <<TOML
[server]
instance = "compare-$$"
runtime_dir = "$dir/run"
workers = 2
[log]
level = "warn"
[limits]
max_sessions = 1000
[[listen]]
address = "unix:$dir/ws.sock"
backend = "relay"
[[api]]
address = "127.0.0.1:${port[holdfast]}"
protocol = "resp"
TOML
  "$holdfastd" -c "$dir/holdfast.toml" > "$dir/holdfast.log" 2>&1 &
  pid[holdfast]=$!
}

start_redis() {
  ln -s "$(command -v redis-check-rdb)" "$dir/redis-server"
  "$dir/redis-server" --bind 127.0.0.1 --port "${port[redis]}" --dir "$dir" --save "" --appendonly no \
    > "$dir/redis.log" 2>&1 &
  pid[redis]=$!
}

wait_for() {
  for _ in $(seq 100); do
    [ "$(redis-cli -p "${port[$1]}" ping 2>/dev/null)" != PONG ] || return 0
    kill -0 "${pid[$1]}" 2>/dev/null || break
    sleep 0.1
  done
  cat "$dir/$1.log" >&2
  failed "$1 did not start"
}

# run SERVER LOAD OPTION...: one measurement; its JSON goes to $dir/LOAD.SERVER, a line for each round.
run() {
  local server=$1 load=$2 left=$((limit - SECONDS + began))
  shift 2
  [ "$left" -gt 0 ] || failed "not done in $limit seconds"
  timeout "$left" "$bench" resp-fanout -a "127.0.0.1:${port[$server]}" -n "$subscribers" --payload "$payload" "$@" \
    --pid "${pid[$server]}" --json > "$dir/one" || { cat "$dir/one" >&2; failed "$server: $load failed"; }
  cat "$dir/one" >> "$dir/$load.$server"
}

# median LOAD SERVER MEMBER: of the numbers after "MEMBER": in the JSON lines.
median() {
  sed -n "s/.*\"$3\":\([0-9.]*\).*/\1/p" "$dir/$1.$2" | sort -g | sed -n "$(((rounds + 1) / 2))p"
}

port[holdfast]=$(free_port)
start_holdfast
wait_for holdfast
port[redis]=$(free_port)
start_redis
wait_for redis

began=$SECONDS
for round in $(seq "$rounds"); do
  order=(holdfast redis)
  [ $((round % 2)) -eq 1 ] || order=(redis holdfast)
  for server in "${order[@]}"; do
    say "round $round: $server"
    run "$server" fixed "${fixed[@]}"
    run "$server" saturated "${saturated[@]}"
  done
done

cheaper=0 kept=0
printf '%d RESP subscribers, %d-byte messages, medians of %d rounds, %s processors\n' "$subscribers" "$payload" "$rounds" "$(nproc)"
printf 'holdfastd: 2 workers; %s\n\n' "$("$dir/redis-server" --version | cut -d' ' -f1-3)"
printf '%-10s  %-26s  %9s  %9s  %s\n' load '' holdfast redis 'holdfast / redis'
for load in fixed saturated; do
  ours=$(median "$load" holdfast cpu_us_per_message)
  theirs=$(median "$load" redis cpu_us_per_message)
  ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')
  awk -v r="$ratio" 'BEGIN { exit !(r < 1) }' || cheaper=1
  printf '%-10s  %-26s  %9s  %9s  %s\n' "$load" 'server CPU a message, us' "$ours" "$theirs" "$ratio"
  printf '%-10s  %-26s  %9s  %9s\n' '' 'delivered a second' \
    "$(median "$load" holdfast received_per_second | cut -d. -f1)" "$(median "$load" redis received_per_second | cut -d. -f1)"
done
for server in holdfast redis; do
  per_second=$(median fixed "$server" received_per_second)
  awk -v got="$per_second" -v due=$((rate * subscribers)) 'BEGIN { exit !(got < 0.97 * due) }' || continue
  printf '\n%s did not keep the fixed rate: the machine is busy, the numbers do not compare\n' "$server"
  kept=2
done
[ "$kept" -eq 0 ] || exit "$kept"
[ "$cheaper" -eq 0 ] && printf '\nholdfast is cheaper\n' || printf '\nholdfast is NOT cheaper\n'
exit "$cheaper"
