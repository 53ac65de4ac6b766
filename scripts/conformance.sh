#!/usr/bin/env bash
# Runs the public conformance suite against bin/dejpha and holds each class to its floor in scripts/conformance.floors.
# usage: conformance.sh SHARED [verify.py's further arguments]
set -euo pipefail
shared=${1:?usage: conformance.sh SHARED}; shift
verify=$shared/verify/verify.py
if [ ! -f "$verify" ]; then
	echo "conformance: $verify is missing: the suite is not part of the project; put it there or set SHARED" >&2
	exit 1
fi
{ /usr/bin/python3 -c 'import yaml' && command -v jq; } >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq python3-yaml jq >/dev/null; }
table=$(mktemp); trap 'rm -f "$table"' EXIT
/usr/bin/python3 "$verify" "$shared/verify/open" --as-version 8.0.7 -j 2 --json "$table" "$@" --engine "\"$PWD/bin/dejpha\" replay --set classification-file={etc}/classification.config --set reference-config-file={etc}/reference.config -c {config} -S {rules} -l {out} {args} -r {pcap}" || true
/usr/bin/python3 scripts/floors.py "$table" scripts/conformance.floors
