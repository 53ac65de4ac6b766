# Sums a profile's traces by room: a sample belongs to the innermost function of ours on its stack; the collector's own
# work stands apart. In: go tool pprof -traces; per, the number of what the time is shared out over; what, its name.
function ms(s) { return s ~ /ms$/ ? s + 0 : s ~ /us$/ ? s / 1000 : s ~ /mins$/ ? s * 60000 : s * 1000 }
function room(p) {
	if (p ~ /^detect\/literal$/) return "detect: prefilter"
	if (p ~ /^detect\/regex$/) return "detect: regex"
	if (p ~ /^(detect|hoststate)/) return "detect: evaluation"
	if (p ~ /^(capture|decode|defrag|flow|stream|app|attack|behaviour|evidence)(\/|$)/) { sub(/\/.*/, "", p); return p }
	if (p ~ /^(eve|jsonline)$/) return "eve"
	if (p ~ /^shield(\/|$)/) return "shield"
	if (p == "main" || p ~ /^scripts\//) return "bench"
	return "rest"
}
function count() {
	if (taken) { t[collector ? "collector" : ours == "" ? "rest" : ours] += value; all += value }
	taken = 0; ours = ""; collector = 0
}
/^-+\+-/ { count(); first = 1; next }
first { value = ms($1); taken = 1; first = 0 }
taken {
	f = $NF == "(inline)" ? $(NF-1) : $NF
	if (f ~ /gcBgMarkWorker|gcAssistAlloc|deductAssistCredit|bgsweep|bgscavenge/) collector = 1
	if (ours == "" && f ~ /^main\./) ours = "bench"
	if (ours == "" && sub(/^github.com\/dejpha\/dejpha\//, "", f)) { sub(/\..*/, "", f); ours = room(f) }
}
END {
	count()
	printf "%-20s %10s %7s\n", "room", "ns/" what, "share"
	n = split("capture decode defrag flow stream app|detect: prefilter|detect: evaluation|detect: regex|behaviour attack evidence eve shield bench rest collector", groups, "|")
	for (g = 1; g <= n; g++) {
		k = groups[g] ~ /^detect/ ? 1 : split(groups[g], names, " ")
		if (groups[g] ~ /^detect/) names[1] = groups[g]
		for (i = 1; i <= k; i++) printf "%-20s %10.0f %6.1f%%\n", names[i], t[names[i]] * 1e6 / per, 100 * t[names[i]] / all
	}
	printf "%-20s %10.0f %6.1f%%  (%d %ss, processor time)\n", "all", all * 1e6 / per, 100, per, what
}