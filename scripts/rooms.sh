#!/usr/bin/env bash
# Says where the time of a replay goes, by room: plays CAPTURE with RULES under the profiler, loading left out.
# A sample belongs to the innermost function of ours on its stack; the collector's own work stands apart.
# usage: rooms.sh CAPTURE [RULES]
set -euo pipefail
capture=$(realpath -e "${1:?usage: rooms.sh CAPTURE [RULES]}"); rules=${2:+$(realpath -e "$2")}
cd "$(dirname "$0")/.."
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
go test -c -o "$work/shield.test" ./shield
(cd shield && DEJPHA_CAPTURE=$capture DEJPHA_RULES=$rules DEJPHA_PROFILE=$work/cpu \
	taskset -c 0 "$work/shield.test" -test.run '^$' -test.bench '^BenchmarkRecording$' -test.benchtime 1x) >"$work/out" || { cat "$work/out" >&2; exit 1; }
packets=$(awk '/^BenchmarkRecording/{for (i = 2; i <= NF; i++) if ($i == "packets") print $(i-1)}' "$work/out")
go tool pprof -traces "$work/shield.test" "$work/cpu" 2>/dev/null | awk -v per="$packets" -v what=packet -f scripts/rooms.awk
