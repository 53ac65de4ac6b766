#!/usr/bin/env bash
# Measures dejpha and the peer on the same veth, one core each, in turn, with the peer's rules and without:
# the highest rate at which nothing is lost, and packets for each second of processor time when flooded.
# Own rules alone stand against none of the peer's; detectors are off, for it has none. Mixed traffic comes first: a flood of
# new flows leaves the peer in its emergency mode, in which it inspects part of what follows and is faster.
# usage: bench-live.sh SHARED [rounds]. BUDGET (600 s; 0: none): no round begins that would end after it, but the first. KINDS
# (mixed flows udp), RULES (et none), STEPS, SECONDS_A_STEP, MOST choose less or more.
set -euo pipefail
shared=$(realpath "${1:?usage: bench-live.sh SHARED [rounds]}"); rounds=${2:-5}
[ -x "$shared/peer/suricata" ] || { echo "bench-live: $shared/peer is missing: the peer is not part of the project" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "bench-live: network namespaces and the peer's wrapper need root" >&2; exit 5; }
[ -x "${PEER_ROOT:-/opt/peer}/usr/bin/suricata" ] || "$shared/peer/install.sh" >/dev/null
bin=$(realpath bin/dejpha)
work=$(mktemp -d); a=dejpha-bench-$$-a; b=dejpha-bench-$$-b; running=
cleanup() {
	[ -z "$running" ] || kill -9 "$running" 2>/dev/null || true
	ip netns del "$a" 2>/dev/null || true
	ip netns del "$b" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
CGO_ENABLED=0 go build -o "$work/livebench" ./scripts/livebench
for n in "$a" "$b"; do
	ip netns add "$n"
	ip netns exec "$n" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
done
ip -n "$a" link add dv0 type veth peer name dv1 netns "$b"
ip -n "$a" link set dv0 up; ip -n "$b" link set dv1 up

mixed=${CAPTURE:-$work/mixed.pcap}
[ -f "$mixed" ] || /usr/bin/python3 "$shared/corpora/make_bench.py" "$mixed" --size "${MIXED_GB:-0.2}" >/dev/null
gunzip -c "$shared/rules/et-open.rules.gz" >"$work/all.rules"
"$bin" -T -S "$work/all.rules" --refused-lines >"$work/refused" 2>/dev/null || true
awk 'NR==FNR{skip[$1]=1;next} !(FNR in skip)' "$work/refused" "$work/all.rules" >"$work/et.rules"
: >"$work/none.rules"
/usr/bin/python3 - "$shared/peer/reference.yaml" "$work/bench.yaml" <<'PY'
import sys, yaml
c = yaml.safe_load(open(sys.argv[1]))
for output in c["outputs"]:
    for name, settings in output.items():
        if name == "eve-log":
            settings["types"] = ["alert", {"stats": {"totals": True, "threads": False}}]
        elif isinstance(settings, dict):
            settings["enabled"] = False
c["stats"] = {"enabled": True, "interval": 1}
c["rule-files"] = []
c["unix-command"] = {"enabled": False}
c["af-packet"] = [{"interface": "dv0", "threads": 1, "cluster-id": 99, "cluster-type": "cluster_flow", "defrag": False,
                   "use-mmap": True, "tpacket-v3": True, "ring-size": 20700, "block-size": 524288}]
open(sys.argv[2], "w").write("%YAML 1.1\n---\n" + yaml.safe_dump(c))
PY

# one SIDE RULES: prints for each kind of traffic the rate, packets/s of processor time, packets sent by then
one() {
	local dir=$work/run eve rest=() lines
	rm -rf "$dir"; mkdir -p "$dir"
	case $1 in
	dejpha)
		eve=$dir/var/eve.json
		[ "$2" = none ] || rest=(-S "$work/$2.rules")
		(cd "$dir" && exec ip netns exec "$a" nice -n -10 taskset -c 1 "$bin" run -i dv0 --workers 1 -c "$work/bench.yaml" -k none --no-console --detectors off "${rest[@]}") >"$dir/out" 2>&1 & ;;
	peer)
		eve=$dir/eve.json
		(cd "$dir" && exec ip netns exec "$a" nice -n -10 taskset -c 1 "$shared/peer/suricata" -c "$work/bench.yaml" --af-packet=dv0 --runmode workers -k none -S "$work/$2.rules" -l "$dir") >"$dir/out" 2>&1 & ;;
	esac
	running=$!
	lines=$(ip netns exec "$b" nice -n -10 taskset -c 0 "$work/livebench" -i dv1 -traffic "$traffic" -eve "$eve" -pid "$running" \
		-steps "${STEPS:-5}" -seconds "${SECONDS_A_STEP:-1}" -most "${MOST:-600000}") || { tail -5 "$dir/out" >&2; lines=; }
	kill -TERM "$running"; wait "$running" || true
	running=
	# The ledger's last word: every packet sent has one fate.
	if [ "$1" = dejpha ] && [ -n "$lines" ] && ! grep -q "^packets    $(tail -1 <<<"$lines" | awk '{print $3}') received" "$dir/out"; then
		echo "bench-live: $lines: the ledger says otherwise: $(grep '^packets' "$dir/out")" >&2
	fi
	printf '%s\n' "$lines"
}

kinds=${KINDS:-mixed flows udp} traffic=
for kind in $kinds; do
	[ "$kind" != mixed ] || kind=$mixed
	traffic=$traffic${traffic:+,}$kind
done
budget=${BUDGET:-600} began=$SECONDS longest=0 done=0
: >"$work/figures"
for round in $(seq "$rounds"); do
	if [ "$round" -gt 1 ] && [ "$budget" -gt 0 ] && [ $((SECONDS - began + longest)) -gt "$budget" ]; then
		echo "bench-live: the time is over after $done of $rounds rounds (BUDGET=0 has all of them done)" >&2
		break
	fi
	from=$SECONDS
	for rules in ${RULES:-et none}; do
		one dejpha "$rules" >"$work/d"; one peer "$rules" >"$work/p"
		# shellcheck disable=SC2086
		paste -d' ' <(printf '%s\n' $kinds) "$work/d" "$work/p" | while read -r kind rest; do
			[ "$(wc -w <<<"$rest")" = 6 ] || { echo "bench-live: $rules $kind round $round gave no figures" >&2; continue; }
			echo "$rules $kind $rest" >>"$work/figures"
			echo "$rules $kind round $round (without loss, for a second of processor time, sent by then; dejpha, then the peer): $rest" >&2
		done
	done
	done=$round
	longest=$((SECONDS - from > longest ? SECONDS - from : longest))
done
/usr/bin/python3 - "$work/figures" <<'PY'
import statistics, sys
all = {}
for line in open(sys.argv[1]):
    rules, kind, *row = line.split()
    all.setdefault((rules, kind), []).append([float(x) for x in row])
for (rules, kind), rows in all.items():
    m = lambda i: statistics.median(r[i] for r in rows)
    ratio = lambda i, j: statistics.median(r[i] / r[j] if r[j] else 0 for r in rows)
    floor = 0.6 if rules == "et" else 1.0
    print(f"{rules:5} {kind:6} median of {len(rows)}: without loss: dejpha {m(0):.0f}, peer {m(3):.0f} packets/s, ratio {ratio(0, 3):.2f} (at least {floor}); "
          f"for a second of processor time: {m(1):.0f}, {m(4):.0f}, ratio {ratio(1, 4):.2f}")
PY
echo "bench-live took $((SECONDS - began)) s"
