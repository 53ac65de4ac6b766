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
go tool pprof -traces "$work/shield.test" "$work/cpu" 2>/dev/null | awk -v packets="$packets" '
function ms(s) { return s ~ /ms$/ ? s + 0 : s ~ /us$/ ? s / 1000 : s ~ /mins$/ ? s * 60000 : s * 1000 }
function room(p) {
	if (p ~ /^detect\/literal$/) return "detect: prefilter"
	if (p ~ /^detect\/regex$/) return "detect: regex"
	if (p ~ /^(detect|hoststate)/) return "detect: evaluation"
	if (p ~ /^(capture|decode|defrag|flow|stream|app|attack|behaviour|evidence)(\/|$)/) { sub(/\/.*/, "", p); return p }
	if (p ~ /^(eve|jsonline)$/) return "eve"
	if (p == "shield") return p
	return "rest"
}
function count() {
	if (taken) { t[collector ? "collector" : ours == "" ? "rest" : ours] += value; all += value }
	taken = 0; ours = ""; collector = 0
}
/^-+\+-/ { count(); first = 1; next }
first { value = ms($1); taken = 1; first = 0 }
taken {
	f = $NF == "(inline)" ? $(NF-1) : $NF
	if (f ~ /gcBgMarkWorker|gcAssistAlloc|deductAssistCredit|bgsweep|bgscavenge/) collector = 1
	if (ours == "" && sub(/^github.com\/dejpha\/dejpha\//, "", f)) { sub(/\..*/, "", f); ours = room(f) }
}
END {
	count()
	printf "%-20s %10s %7s\n", "room", "ns/packet", "share"
	n = split("capture decode defrag flow stream app|detect: prefilter|detect: evaluation|detect: regex|behaviour attack evidence eve shield rest collector", groups, "|")
	for (g = 1; g <= n; g++) {
		k = groups[g] ~ /^detect/ ? 1 : split(groups[g], names, " ")
		if (groups[g] ~ /^detect/) names[1] = groups[g]
		for (i = 1; i <= k; i++) printf "%-20s %10.0f %6.1f%%\n", names[i], t[names[i]] * 1e6 / packets, 100 * t[names[i]] / all
	}
	printf "%-20s %10.0f %6.1f%%  (%d packets, processor time)\n", "all", all * 1e6 / packets, 100, packets
}'
