package way

import (
	"bufio"
	"io/fs"
	"slices"
	"strings"
)

// queued begins the names of sources that are no interfaces: netfilter's queues.
const queued = "nfqueue:"

// Places are the interfaces on which to block for a shield that reads sources: those themselves, or, where they are
// queues of netfilter, the configured ones, or, without any, those of the default routes, by which strangers come in. root
// holds the machine's proc. None: there is nowhere to block.
func Places(sources, configured []string, root fs.FS) []string {
	if len(sources) == 0 || !strings.HasPrefix(sources[0], queued) {
		return sources
	}
	if len(configured) > 0 {
		return configured
	}
	var all []string
	add := func(name string) {
		if name != "lo" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	each(root, "proc/net/route", func(f []string) {
		if len(f) >= 8 && f[1] == "00000000" && f[7] == "00000000" {
			add(f[0])
		}
	})
	each(root, "proc/net/ipv6_route", func(f []string) {
		if len(f) == 10 && f[0] == strings.Repeat("0", 32) && f[1] == "00" {
			add(f[9])
		}
	})
	return all
}

func each(root fs.FS, name string, do func(fields []string)) {
	f, err := root.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		do(strings.Fields(in.Text()))
	}
}
