#!/usr/bin/python3
"""Holds a conformance run to the floors in a file of lines `class percent`: a class below its floor is an error."""
import collections
import json
import sys

results = json.load(open(sys.argv[1]))
rows = results.get("tests", results) if isinstance(results, dict) else results
counts = collections.defaultdict(lambda: [0, 0])
for row in rows:
    status = row.get("status") or row.get("result")
    if status in ("passed", "pass", "failed", "fail"):
        counts[row["class"]][0] += status.startswith("pass")
        counts[row["class"]][1] += 1
bad = 0
for line in open(sys.argv[2]):
    if not line.strip() or line.startswith("#"):
        continue
    name, floor = line.split()
    passed, of = counts[name]
    share = 100 * passed / max(of, 1)
    ok = share >= float(floor)
    print(f"floor: {name} {passed} of {of}, {share:.1f} %, asked {floor} %: {'held' if ok else 'NOT HELD'}")
    bad += not ok
sys.exit(bad > 0)
