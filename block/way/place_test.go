package way

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestPlaces(t *testing.T) {
	machine := fstest.MapFS{
		"proc/net/route": {Data: []byte("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
			"eth1\t0000140A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
			"eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")},
		"proc/net/ipv6_route": {Data: []byte("00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     wan6\n" +
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n" +
			"fd200000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1\n")},
	}
	for _, x := range []struct {
		name                      string
		sources, configured, want []string
		root                      fstest.MapFS
	}{
		{"taps", []string{"eth3", "eth4"}, []string{"eth9"}, []string{"eth3", "eth4"}, machine},
		{"queues, configured", []string{"nfqueue:0", "nfqueue:1"}, []string{"eth9"}, []string{"eth9"}, machine},
		{"queues, by the routes", []string{"nfqueue:0"}, nil, []string{"eth0", "wan6"}, machine},
		{"queues, no routes", []string{"nfqueue:0"}, nil, nil, fstest.MapFS{}},
		{"nothing", nil, nil, nil, machine},
	} {
		if got := Places(x.sources, x.configured, x.root); !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, expected %v", x.name, got, x.want)
		}
	}
}
