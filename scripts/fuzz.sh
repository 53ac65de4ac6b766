#!/usr/bin/env bash
# Runs every fuzz target in turn for a given time and prints a table. Usage: scripts/fuzz.sh [TIME [FOLDER]]
# What a target finds is left in its folder's testdata/fuzz, where ordinary tests play it again; logs are in var/fuzz.
set -uo pipefail
cd "$(dirname "$0")/.."
time=${1:-10m}
only=${2:-}
logs=var/fuzz
mkdir -p "$logs"
failed=0
row='%-18s %-16s %12s %12s %9s  %s\n'
# shellcheck disable=SC2059
printf "$row" folder target execs interesting time result
while IFS=: read -r file target; do
	dir=$(dirname "$file")
	case $dir in "$only"*) ;; *) continue ;; esac
	log=$logs/${dir//\//-}-$target.log
	began=$(date +%s)
	result=ok
	room=. in=$dir
	case $dir in verifier/*) room=verifier in=${dir#verifier/} ;; esac # a module of its own
	if ! "${GO:-go}" -C "$room" test "./$in" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel 1 -fuzzminimizetime 5s >"$log" 2>&1; then
		result="FAILED: $log"
		failed=1
	fi
	last=$(grep -o 'execs: .*' "$log" | tail -1)
	execs=$(sed -E 's/execs: ([0-9]+).*/\1/' <<<"$last")
	fresh=$(sed -E 's/.*new interesting: ([0-9]+).*/\1/' <<<"$last")
	# shellcheck disable=SC2059
	printf "$row" "$dir" "$target" "${execs:--}" "${fresh:--}" "$(($(date +%s) - began))s" "$result"
done < <(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' . | sed -E 's|^\./||; s/:[0-9]+:func /:/' | sort)
exit $failed
