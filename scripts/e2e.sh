#!/usr/bin/env bash
# Tests of the whole: the console in a real browser, then stories of real tools against real servers behind the shield, in
# network namespaces of their own. As root, what is missing is fetched from Debian (the machine's services are not started
# by that); what stays missing is skipped by its name, which the closing line counts.
# CHROMIUM names another browser; DEJPHA_SHOTS a folder for pictures; DEJPHA_E2E_KEEP one for captures of the stories.
set -euo pipefail
web=$1 story=${2:-}
packages="nginx-light openssh-server openssh-client sshpass vsftpd postfix dovecot-imapd dovecot-pop3d samba smbclient unbound bind9-dnsutils swaks curl iproute2 iptables nmap masscan hydra medusa sqlmap wapiti ffuf slowhttptest hping3 thc-ipv6"

# fetch installs what is missing of the packages named, in one go or, if that fails, one by one.
fetch() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
	local missing="" p
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	echo "e2e: fetching$missing with apt-get"
	local mine=""
	if [ ! -e /usr/sbin/policy-rc.d ]; then # what is installed must not start on this machine
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d && mine=1
	fi
	export DEBIAN_FRONTEND=noninteractive
	local end=$((SECONDS + 420)) get="apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-unsafe-io"
	timeout 120 $get update >/dev/null 2>&1 || true
	# shellcheck disable=SC2086
	timeout $((end - SECONDS)) $get install $missing >/dev/null 2>&1 || for p in $missing; do
		[ "$SECONDS" -lt "$end" ] && timeout $((end - SECONDS)) $get install "$p" >/dev/null 2>&1 || echo "e2e: apt-get could not fetch $p"
	done
	[ -z "$mine" ] || rm -f /usr/sbin/policy-rc.d
}

work=$(mktemp -d)
count=$work/count
trap 'rm -rf "$work"' EXIT
status=0
if [ -z "$story" ]; then
	[ -n "${CHROMIUM:-}" ] || [ -x /usr/bin/chromium ] || fetch chromium
	(cd "$web" && npm test --silent) | tee -a "$count" || status=1
fi
# shellcheck disable=SC2086
fetch $packages
${GO:-go} test -c -o "$work/stories" ./e2e
(cd e2e && DEJPHA_E2E=1 "$work/stories" -test.run "TestStories/stories/$story" -test.parallel 2 -test.timeout 15m) | tee -a "$count" || status=1

# The closing line of both parts.
awk '/^(stories: )?[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed/) p += $i; if ($(i + 1) ~ /^failed/) f += $i; if ($(i + 1) ~ /^skipped/) s += $i } }
	END { printf "e2e: %d passed, %d failed, %d skipped\n", p, f, s }' "$count"
exit "$status"
