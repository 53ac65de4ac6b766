package http1

import "testing"

// A spare layer, 40 KiB with its window, is used again and none is made beside it.
func TestSpareLayersAreUsedAgain(t *testing.T) {
	var s spares
	d := decoder{chain: []*layer{s.layer(gzip)}}
	if n := testing.AllocsPerRun(100, func() {
		s.take(&d)
		d.chain = append(d.chain, s.layer(deflate))
	}); n != 0 {
		t.Errorf("%v allocations for a layer that was there", n)
	}
}
