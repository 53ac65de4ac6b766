#!/usr/bin/env bash
# The report of a month with many attacks: how long the program takes to write it, and a browser to open it.
# CHROMIUM names another browser. Without one only the writing is measured, and the closing line says so.
set -euo pipefail
web=$1 attacks=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "bench-report: making a log of $attacks attacks"
DEJPHA_REPORT_ATTACKS=$attacks ${GO:-go} test ./report -run '^$' -bench Month -benchtime 1x -timeout 30m -keep "$work" | grep '^Benchmark'
start=$(date +%s%N)
bin/dejpha report --month 2026-11 -d "$work" -o "$work/november.html"
end=$(date +%s%N)
echo "written    $(((end - start) / 1000000)) ms (aim: under 10,000), page $(stat -c %s "$work/november.html") bytes"
REPORT="$work/november.html" node "$web/test/report.mjs"
