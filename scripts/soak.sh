#!/usr/bin/env bash
# Long runs under load: reloads with own rules and with a large set, then kill -9 again and again while attackers go on.
# Prints closing figures, how long each part took, and fails where they break what docs/operation.md promises.
# usage: soak.sh SHARED. PART (reloads, reloads-et, kills; else all), RELOADS (200), RELOADS_ET (20), KILLS (100), LIVE (7s: the
# longest life between two kills), RATE (packets/s; else half of what goes without loss), TRAFFIC (udp, flows).
set -euo pipefail
shared=$(realpath -m "${1:-../shared}"); bin=$(realpath bin/dejpha)
[ "$(id -u)" = 0 ] || { echo "soak: network namespaces need root" >&2; exit 5; }
work=$(mktemp -d); a=dejpha-soak-$$-a; b=dejpha-soak-$$-b; shield=; sender=; failed=0
cleanup() {
	for p in $shield $sender; do kill -9 "$p" 2>/dev/null || true; done
	ip netns del "$a" 2>/dev/null || true
	ip netns del "$b" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
CGO_ENABLED=0 go build -o "$work/" ./scripts/livebench ./scripts/soaker
for n in "$a" "$b"; do
	ip netns add "$n"
	ip netns exec "$n" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
done
ip -n "$a" link add dv0 type veth peer name dv1 netns "$b"
ip -n "$a" link set dv0 up; ip -n "$b" link set dv1 up
cd "$work"
socket=(--socket "$work/state/dejpha.socket")
figure() { "$bin" top --json "${socket[@]}" | grep -o "\"$1\":[0-9]*" | head -1 | cut -d: -f2; }
lost() { echo $(($(figure kernel_drops) + $(figure shed))); }
memory() { awk '/^VmRSS/ {print $2}' "/proc/$shield/status"; }
start() { # its rules
	ip netns exec "$a" "$bin" run -i dv0 --no-console --set state=state -s extra.rules "$@" >>out 2>&1 &
	shield=$!
	until "$bin" top --json "${socket[@]}" >/dev/null 2>&1; do
		kill -0 "$shield" || { tail -5 out >&2; exit 1; }
		sleep 0.02
	done
}
stop() { kill -TERM "$shield"; wait "$shield" || { tail -5 out >&2; failed=1; }; shield=; }
load() { ip netns exec "$b" ./livebench -i dv1 -traffic "${TRAFFIC:-udp}" -steady "$1" >sent & sender=$!; }
unload() { kill -TERM "$sender"; wait "$sender" || true; sender=; }
extra() { echo "alert udp any any -> any any (msg:\"turn $1\"; content:\"soak turn $1\"; sid:$((99000000 + $1 % 3));)" >extra.rules; }

rate_for() {
	[ -z "${RATE:-}" ] || { echo "$RATE"; return; }
	local r=400000 before
	while [ "$r" -gt 2000 ]; do
		load "$r"; sleep 2; before=$(lost); sleep 3
		if [ "$(lost)" = "$before" ]; then unload; break; fi
		unload; sleep 1; r=$((r * 2 / 3))
	done
	echo $((r / 2))
}

settled() { # until the tables hold what they will and memory stands still, 90 s at most
	local last=0 now i
	for i in 1 2 3 4 5 6 7 8 9; do
		sleep 10; now=$(memory)
		[ $(((now - last) * 100)) -gt "$now" ] || [ $(((last - now) * 100)) -gt "$now" ] || break
		last=$now
	done
}

reloads() { # name, how many, rules
	local name=$1 n=$2 rate before peak after took=() t0 t1 r0 l0 r1 l1 r2 l2; shift 2
	rm -rf state; extra 0; start "$@"
	rate=$(rate_for); load "$rate"; sleep 5
	"$bin" reload "${socket[@]}" >/dev/null; settled # from here on both kinds of memory are touched
	before=$(memory); echo 5 >"/proc/$shield/clear_refs"
	r0=$(figure received); l0=$(lost); t0=$(date +%s%N)
	for i in $(seq "$n"); do
		extra "$i"
		took+=("$("$bin" reload "${socket[@]}" | grep -o 'in [0-9.]* s' | cut -d' ' -f2)")
	done
	t1=$(date +%s%N); r1=$(figure received); l1=$(lost)
	peak=$(awk '/^VmHWM/ {print $2}' "/proc/$shield/status")
	settled; after=$(memory); r1=$(figure received); l1=$(lost)
	sleep $(((t1 - t0) / 1000000000)); r2=$(figure received); l2=$(lost)
	unload; stop
	printf '%s\n' "${took[@]}" | sort -n | awk -v name="$name" -v n="$n" -v rate="$rate" -v before="$before" -v peak="$peak" -v after="$after" \
		-v r="$((r1 - r0))" -v l="$((l1 - l0))" -v rb="$((r2 - r1))" -v lb="$((l2 - l1))" '
		{ t[NR] = $1 }
		END {
			with = 100 * l / (r ? r : 1); without = 100 * lb / (rb ? rb : 1)
			printf "%s: %d reloads at %d packets/s, %.2f s each in the middle, %.2f s at most; lost %d of %d (%.4f %%), without reloads %d of %d (%.4f %%); memory %d MiB before, %.2f times that at most, %+.1f %% after\n",
				name, n, rate, t[int((NR + 1) / 2)], t[NR], l, r, with, lb, rb, without, before / 1024, peak / before, 100 * (after - before) / before
			exit !(with <= without + 0.01 && peak <= 1.3 * before && after <= 1.05 * before)
		}' || { echo "soak: $name: that is past what is promised" >&2; failed=1; }
}

kills() {
	rm -rf state
	load "${RATE:-20000}"
	# A BPF file system of its own, which goes with this: the pinned tables outlive the shield, not the soak.
	unshare --mount sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' sh "$work/soaker" -bin "$bin" -dir "$work" -attackers "$b" -shield "$a" -kills "$1" -live "${LIVE:-7s}" ||
		{ tail -5 "$work/out" >&2; echo "soak: kills: that is past what is promised" >&2; failed=1; }
	unload
}

timed() { # what it is, how
	local name=$1 from=$SECONDS; shift
	"$@"
	echo "       ($name took $((SECONDS - from)) s)"
}

case "${PART:-all}" in all | reloads | reloads-et | kills) ;; *) echo "soak: PART is reloads, reloads-et or kills" >&2; exit 2 ;; esac
part() { [ "${PART:-all}" = all ] || [ "${PART:-all}" = "$1" ]; }

if part reloads; then timed "own rules" reloads "own rules" "${RELOADS:-200}"; fi
if part reloads-et && [ -f "$shared/rules/et-open.rules.gz" ]; then
	gunzip -c "$shared/rules/et-open.rules.gz" >et.rules
	timed "et-open" reloads "et-open" "${RELOADS_ET:-20}" -S et.rules
elif part reloads-et; then
	echo "soak: $shared/rules is missing: no reloads of a large set"
fi
if part kills; then timed kills kills "${KILLS:-100}"; fi
exit "$failed"
