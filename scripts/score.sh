#!/usr/bin/env bash
# Scores own rules and detectors on the labelled captures and holds the score to its floor.
# usage: score.sh SHARED
set -euo pipefail
shared=${1:?usage: score.sh SHARED}; shift
if [ ! -f "$shared/corpora/score.py" ]; then
	echo "score: $shared/corpora/score.py is missing: the captures are not part of the project; put them there or set SHARED" >&2
	exit 1
fi
read -r need_attack need_normal < <(grep -v "^#" scripts/score.floor)
out=$(/usr/bin/python3 "$shared/corpora/score.py" --industrial no "$@" --engine "$PWD/bin/dejpha replay --each -l {out} -r {dir}")
printf '%s\n' "$out"
last=$(printf '%s\n' "$out" | grep '^score:' | tail -1)
read -r recognised cried < <(sed -E 's/^score: ([0-9]+) of [0-9]+ recognised, ([0-9]+) of .*/\1 \2/' <<<"$last")
if [ "$recognised" -lt $need_attack ] || [ "$cried" -gt $need_normal ]; then
	echo "score: asked are at least $need_attack recognised and at most $need_normal cried over" >&2
	exit 1
fi
