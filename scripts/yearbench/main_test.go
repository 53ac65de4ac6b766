package main

import (
	"errors"
	"io"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/shield"
)

// TestEveryAttackIsCountedOnce: a minute of the year, on one worker and on two.
func TestEveryAttackIsCountedOnce(t *testing.T) {
	for _, workers := range []int{1, 2} {
		setup, err := shield.NewSetup(shield.SetupOptions{Sets: []string{"records.attacks-only=true", "keep.packets.sample=10", "block.mode=off"}, Workers: workers, Detectors: true})
		if err != nil {
			t.Fatal(err)
		}
		src, dir := newTraffic(403, 7), t.TempDir()
		sum, err := setup.ReplaySource(src, dir, shield.ReplayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, class := range classesOf(src) {
			if sum.ByClass[class] != src.made[class] {
				t.Errorf("%d workers: %s: %d made, %d counted", workers, class, src.made[class], sum.ByClass[class])
			}
		}
		if sum.Attacks != 403 || sum.Ledger.Inspected != src.packets {
			t.Errorf("%d workers: %d attacks, %d of %d packets", workers, sum.Attacks, sum.Ledger.Inspected, src.packets)
		}
		report, err := evidence.CheckAll(dir+"/evidence", "")
		if err != nil || !report.OK() || report.Attacks != 403 {
			t.Errorf("%d workers: %v, %d attacks sealed, problems %q", workers, err, report.Attacks, report.Problems)
		}
		if report.Packets == 0 || report.Packets > 403/4 {
			t.Errorf("%d workers: packets of %d attacks were kept, one in ten was asked for", workers, report.Packets)
		}
	}
}

// TestYearIsTheSameForASeed, and its times only go on within a group's conversations.
func TestYearIsTheSameForASeed(t *testing.T) {
	a, b := newTraffic(1000, 3), newTraffic(1000, 3)
	var x, y capture.Frame
	frames := 0
	for last := int64(0); ; frames++ {
		err, err2 := a.Next(&x), b.Next(&y)
		if !errors.Is(err, err2) || err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err, err2)
		}
		if err != nil {
			break
		}
		if x.Time < last || x.Time != y.Time || string(x.Data) != string(y.Data) {
			t.Fatalf("frame %d differs, or lies before the one before", frames)
		}
		last = x.Time
	}
	if frames < 5*1000 || a.flows != 1250 {
		t.Errorf("%d frames, %d flows", frames, a.flows)
	}
}
