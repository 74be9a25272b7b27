# scripts/lib.sh - what the other scripts share: installing Debian packages that are missing. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build_packages=(g++ meson ninja-build pkg-config libevent-dev libboost-dev libtoml11-dev libsimdjson-dev libssl-dev libjwt-dev libseccomp-dev zlib1g-dev
  libfmt-dev libspdlog-dev libcli11-dev curl ca-certificates)
php_packages=(php8.2-fpm php8.2-cli php8.2-sqlite3)
test_packages=(libgtest-dev libbenchmark-dev libhiredis-dev redis-tools php8.2-redis nginx mandoc chromium nodejs npm
  clang-format-14 clang-tidy-14 python3 python3-jsonschema valgrind)

# How what tests run against is built, in build/test: optimized as for users, without debug information, for it is run once.
test_options=(-Doptimization=2 -Ddebug=false -Dtests=true -Dbench=true)

say() { printf '%s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || printf '%s\n' "$package"
  done
}

# Installs those of the named packages that are not there. No services are started.
need() {
  local wanted
  mapfile -t wanted < <(missing "$@")
  # A Node.js that did not come from Debian does as well.
  if command -v npm >/dev/null; then mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | grep -vxE 'nodejs|npm' || true); fi
  [ "${#wanted[@]}" -eq 0 ] || [ -z "${wanted[0]}" ] && return 0
  say "installing: ${wanted[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${wanted[@]}" >&2
}

# configure DIR OPTION...: sets a build directory up, or gives an existing one the options it has not got. ninja itself
# notices changed build files.
configure() {
  local dir=$1 given
  shift
  given=$dir/options-given
  if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" "$@" >&2
  elif [ "$*" != "$(cat "$given" 2>/dev/null)" ]; then
    meson configure "$dir" "$@" >&2
  fi
  printf '%s\n' "$*" > "$given"
}
