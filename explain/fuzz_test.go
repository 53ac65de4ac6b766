package explain

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/dejpha/dejpha/attack"
	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/captest"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/rule"
)

// FuzzFrames explains kept packets, whatever they are: each has one line of text, its payload and marks lie inside it,
// and what is written back as a capture reads the same.
func FuzzFrames(f *testing.F) {
	n, of := 0, 0
	captest.Frames(func(first bool, fr *capture.Frame) bool {
		if first {
			of = 0
		}
		if len(fr.Data) < 4096 {
			f.Add(file.AppendRecord(file.AppendHeader(nil, fr.LinkType), fr.Data, fr.WireLen, fr.Time))
			n++
		}
		of++
		return n < 100 && of < 3
	})
	rules := []*rule.Rule{{GID: 1, SID: 7, Groups: []rule.Group{{Conditions: []rule.Condition{
		&rule.Content{Pattern: []byte("GET"), NoCase: true}, &rule.Content{Pattern: []byte("\x00\x00\x00")}, &rule.Content{Pattern: []byte("aaa")}}}}}}
	alerts := []attack.AlertCount{{GID: 1, SID: 7}, {GID: 1, SID: 8}}
	f.Fuzz(func(t *testing.T, pcap []byte) {
		in := New(rules)
		frames, _ := in.Frames(pcap)
		for i := range frames {
			c := &frames[i]
			if c.Summary == "" || !utf8.ValidString(c.Summary) || len(c.Summary) > 400 || bytes.ContainsAny([]byte(c.Summary), "\n\r\x00\x1b") {
				t.Fatalf("frame %d: %q", i, c.Summary)
			}
			if c.PayloadOffset < 0 || c.PayloadOffset > len(c.Data) {
				t.Fatalf("frame %d: payload at %d of %d", i, c.PayloadOffset, len(c.Data))
			}
			last := c.PayloadOffset
			for _, m := range in.Marks(alerts, c) {
				if m[0] < last || m[1] <= m[0] || m[1] > len(c.Data) {
					t.Fatalf("frame %d: mark %v after %d in %d bytes", i, m, last, len(c.Data))
				}
				last = m[1]
			}
		}
		back, err := in.Frames(in.Capture(frames))
		if len(frames) == 0 {
			return
		}
		same := 0
		for i := range frames {
			if frames[i].Link == frames[0].Link {
				same++
			}
		}
		if err != nil || len(back) != same || !bytes.Equal(back[0].Data, frames[0].Data) {
			t.Fatalf("%d frames written, %d read back: %v", same, len(back), err)
		}
	})
}
