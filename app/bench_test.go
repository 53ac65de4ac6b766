package app

import (
	"path/filepath"
	"testing"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/stream"
)

// handed is one call of the driver as the rooms before it made it.
type handed struct {
	flow  int
	dir   flow.Direction
	data  []byte
	gap   int
	end   bool
	udp   bool
	time  int64
	fresh int // bytes not handed over before
}

// recording is what a driver is handed of captures: the flows as they began, and the calls.
type recording struct {
	flows []flow.Flow
	calls []handed
	sums  struct{ packets, bytes int }
}

// record plays a capture through the rooms before app.
func (r *recording) record(name string) {
	src, err := file.Open(name)
	if err != nil {
		return
	}
	defer src.Close()
	known := map[uint64]int{}
	table, streams, driver := flow.NewTable(flow.Config{}), stream.New(stream.Config{}), New(Config{})
	var d decode.Decoder
	var p decode.Packet
	var frame capture.Frame
	for src.Next(&frame) == nil {
		d.Decode(&p, frame.LinkType, frame.Data)
		p.Time = frame.Time
		f, dir, fresh := table.Lookup(&p)
		if f == nil {
			continue
		}
		if fresh {
			known[f.ID] = len(r.flows)
			r.flows = append(r.flows, *f)
		}
		table.Update(f, &p, dir)
		i := known[f.ID]
		r.sums.packets++
		switch {
		case p.Proto == decode.ProtoUDP && p.HasL4:
			r.calls = append(r.calls, handed{flow: i, dir: dir, data: append([]byte(nil), p.Payload...), udp: true, time: p.Time, fresh: len(p.Payload)})
			driver.Datagram(f, dir, p.Payload, p.Time, 1)
		case p.Proto == decode.ProtoTCP && p.HasL4 && f.State != flow.Closed:
			streams.Segment(f, &p, dir)
			if s := streams.Session(f.Stream); s != nil {
				r.feed(driver, streams, s, f, i, p.Time)
			}
		}
		driver.Settle(f)
	}
}

func (r *recording) feed(driver *Driver, streams *stream.Engine, s *stream.Session, f *flow.Flow, i int, time int64) {
	for dir := flow.ToServer; dir <= flow.ToClient; dir++ {
		data, gap, end := streams.Next(s, dir, stream.App)
		if len(data) == 0 && gap == 0 && !end {
			continue
		}
		n := driver.Feed(f, dir, data, gap, end, time, 1)
		r.calls = append(r.calls, handed{flow: i, dir: dir, data: append([]byte(nil), data...), gap: gap, end: end, time: time, fresh: n})
		streams.Advance(s, dir, stream.App, n)
	}
}

// play hands everything to a driver and returns the bytes it took.
func (r *recording) play(d *Driver, flows []flow.Flow) (bytes int) {
	copy(flows, r.flows)
	for i := range r.calls {
		c := &r.calls[i]
		f := &flows[c.flow]
		if c.udp {
			d.Datagram(f, c.dir, c.data, c.time, 1)
		} else {
			d.Feed(f, c.dir, c.data, c.gap, c.end, c.time, 1)
		}
		d.Settle(f)
		bytes += c.fresh
	}
	for i := range flows {
		d.End(&flows[i], 0, 1)
		d.Settle(&flows[i])
		d.Forget(&flows[i])
	}
	return bytes
}

// BenchmarkDriver plays the project's samples, and captures beside the project where they are there, through the
// driver: identification, parsers, transactions. Decoding, flow table and streams are done before.
func BenchmarkDriver(b *testing.B) {
	names, _ := filepath.Glob("../samples/*.pcap")
	more, _ := filepath.Glob("../../shared/corpora/normal/*.pcap*")
	names = append(names, more[:min(len(more), 100)]...)
	var r recording
	for _, name := range names {
		r.record(name)
	}
	flows := make([]flow.Flow, len(r.flows))
	packets, size := 0, 0
	d := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		size += r.play(d, flows)
		packets += r.sums.packets
	}
	rate(b, packets, size)
}

// rate reports what every room's benchmark says: packets/s, MB/s and ns a packet.
func rate(b *testing.B, packets, bytes int) {
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(packets)/s, "packets/s")
	b.ReportMetric(float64(bytes)/1e6/s, "MB/s")
	b.ReportMetric(s*1e9/float64(max(packets, 1)), "ns/packet")
}
