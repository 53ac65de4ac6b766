package attack

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	gc "weak"
)

// However many attackers a victim has, the stories kept are bounded, and those forgotten are let go of.
func TestForgottenStoriesAreLetGo(t *testing.T) {
	var s incidents
	var victims bag
	victims.add("10.0.0.1", 1)
	step := func(i int) {
		p := &piece{ID: uint64(i + 1), Targets: victims}
		k := Key{Class: uint8(ClassIndex("scan")), Origin: fmt.Sprintf("ip %s", netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))}
		s.of(k, p, int64(i)*int64(2*incidentQuiet)) // too late for the one before
	}
	var early []gc.Pointer[incident]
	for i := range 3 * incidentsMax {
		if step(i); i < 100 {
			early = append(early, gc.Make(s.newest))
		}
	}
	if s.count > incidentsMax || len(s.byName) > s.count+1 || len(s.byName["10.0.0.1"].stories) != s.count {
		t.Errorf("%d stories, %d parties", s.count, len(s.byName))
	}
	runtime.GC()
	for i, x := range early {
		if x.Value() != nil {
			t.Fatalf("story %d is still held", i)
		}
	}
	runtime.KeepAlive(&s)
}

// An origin whose last story is forgotten just as it begins another is found by that one.
func TestAStoryBegunAsTheLastIsForgotten(t *testing.T) {
	var s incidents
	k := func(i int) Key {
		return Key{Class: uint8(ClassIndex("scan")), Origin: fmt.Sprintf("ip 10.0.%d.%d", i>>8, i&255)}
	}
	for i := range incidentsMax {
		s.of(k(i), &piece{ID: uint64(i + 1)}, int64(i))
	}
	later := int64(2 * incidentQuiet)
	if id := s.of(k(0), &piece{ID: 90001}, later); id != 90001 || s.count >= incidentsMax {
		t.Fatalf("story %d of %d, want a new one", id, s.count)
	}
	if id := s.of(k(0), &piece{ID: 90002}, later+1); id != 90001 {
		t.Errorf("the next step is story %d, want 90001", id)
	}
}
