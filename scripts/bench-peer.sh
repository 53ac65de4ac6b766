#!/usr/bin/env bash
# Measures dejpha and the peer on the same capture and rules, one core each, in turn. usage: bench-peer.sh SHARED [runs]
set -euo pipefail
shared=${1:?usage: bench-peer.sh SHARED [runs]}; runs=${2:-3}
[ -x "$shared/peer/suricata" ] || { echo "bench-peer: $shared/peer is missing: the peer is not part of the project" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "bench-peer: the peer's wrapper needs root" >&2; exit 5; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
[ -x "${PEER_ROOT:-/opt/peer}/usr/bin/suricata" ] || "$shared/peer/install.sh" >/dev/null
command -v /usr/bin/time >/dev/null || apt-get install -y -qq time >/dev/null
capture=${CAPTURE:-$work/bench.pcap}
[ -f "$capture" ] || python3 "$shared/corpora/make_bench.py" "$capture" >/dev/null
gunzip -c "$shared/rules/et-open.rules.gz" >"$work/all.rules"
# Both sides get the rules that dejpha loads.
bin/dejpha -T -S "$work/all.rules" --refused-lines >"$work/refused" 2>/dev/null || true
awk 'NR==FNR{skip[$1]=1;next} !(FNR in skip)' "$work/refused" "$work/all.rules" >"$work/ok.rules"
packets=$(bin/dejpha replay --workers 1 --detectors off --disable-detection --alerts-only -l "$work/count" -r "$capture" | awk '/^packets/{print $2}')
# Alerts only on both sides.
/usr/bin/python3 - "$shared/peer/reference.yaml" "$work/peer.yaml" <<'PY'
import sys, yaml
c = yaml.safe_load(open(sys.argv[1]))
for output in c["outputs"]:
    for name, settings in output.items():
        if name == "eve-log":
            settings["types"] = ["alert"]
        elif isinstance(settings, dict):
            settings["enabled"] = False
open(sys.argv[2], "w").write("%YAML 1.1\n---\n" + yaml.safe_dump(c))
PY
for i in $(seq "$runs"); do
	rm -rf "$work/d" "$work/p"; mkdir -p "$work/d" "$work/p"
	/usr/bin/time -f '%M %U %S' -o "$work/dm" taskset -c 0 bin/dejpha replay --workers 1 --detectors off --alerts-only -k none -S "$work/ok.rules" -l "$work/d" -r "$capture" >"$work/dout" 2>/dev/null
	d=$(awk '/^time/{print $2}' "$work/dout")
	/usr/bin/time -f '%M %U %S' -o "$work/pm" taskset -c 0 "$shared/peer/suricata" -c "$work/peer.yaml" --runmode single -k none -S "$work/ok.rules" -r "$capture" -l "$work/p" -v >"$work/pout" 2>&1 || true
	p=$(grep -o 'time elapsed [0-9.]*s' "$work/pout" | grep -o '[0-9.]*' | tail -1)
	# The rates are by the clock and without loading; the processor time tells more on a busy machine, and holds the loading.
	awk -v n="$packets" -v d="$d" -v p="${p:-0}" -v dm="$(tail -1 "$work/dm")" -v pm="$(tail -1 "$work/pm")" 'BEGIN {
		split(dm, a, " "); split(pm, b, " ")
		printf "dejpha %.0f packets/s %d MiB; peer %.0f packets/s %d MiB; ratio %.2f; processor time with loading %.0f s against %.0f s\n",
			n/d, a[1]/1024, (p>0?n/p:0), b[1]/1024, (p>0?p/d:0), a[2]+a[3], b[2]+b[3] }'
done
echo "where the rest goes: dejpha's own run by room"
scripts/rooms.sh "$capture" "$work/ok.rules"
