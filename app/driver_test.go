package app

import (
	"testing"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// lineParser is a small protocol for the driver's own tests: each line is a transaction.
type lineParser struct {
	txs  []contract.Tx
	next uint64
}

type lineTx struct {
	contract.TxState
	text string
	step [2]uint8
}

func (x *lineTx) State() *contract.TxState            { return &x.TxState }
func (x *lineTx) Progress(d contract.Direction) uint8 { return x.step[d] }
func (x *lineTx) Buffer(int, int) ([]byte, bool)      { return []byte(x.text), true }
func (x *lineTx) Number(int, int) (uint64, bool)      { return 0, false }
func (x *lineTx) AppendRecord(dst []byte) []byte      { return append(dst, `"line":{}`...) }
func (p *lineParser) Txs() []contract.Tx              { return p.txs }
func (p *lineParser) Release(n int)                   { p.txs = append(p.txs[:0], p.txs[n:]...) }
func (p *lineParser) Reset()                          { p.txs, p.next = p.txs[:0], 0 }
func lineProbe(d []byte, dir contract.Direction, _ uint16) contract.Verdict {
	switch {
	case len(d) < 4:
		return contract.Maybe
	case string(d[:4]) == "LINE" && dir == contract.ToServer, string(d[:4]) == "SRVR" && dir == contract.ToClient:
		return contract.Yes
	case string(d[:4]) == "LINE" || string(d[:4]) == "SRVR":
		return contract.YesReversed
	}
	return contract.No
}

func (p *lineParser) Feed(in contract.Input) (res contract.Result) {
	start := 0
	for i, c := range in.Data {
		if c != '\n' {
			continue
		}
		line := string(in.Data[start:i])
		start = i + 1
		tx := &lineTx{text: line, step: [2]uint8{1, 1}}
		tx.ID = p.next
		p.next++
		p.txs = append(p.txs, tx)
		switch line {
		case "LINE panic":
			panic("as asked")
		case "LINE upgrade":
			return contract.Result{Consumed: start, Upgrade: contract.UpgradeProbe}
		case "LINE stop":
			return contract.Result{Consumed: start, Stop: contract.StopDone}
		case "LINE expect":
			res.Expect = &contract.Expect{Port: 777, Protocol: "line"}
		}
	}
	res.Consumed = start
	return res
}

func lineProtocol() contract.Protocol {
	return contract.Protocol{Name: "line", Transport: contract.Both, ServerPorts: []uint16{99}, Probe: lineProbe,
		New:      func(contract.Limits) contract.Parser { return &lineParser{} },
		Keywords: []contract.Keyword{{Name: "line.text"}}, Events: []string{"odd"},
		Steps: [2][]string{{"start", "done"}, {"start", "done"}}}
}

func newDriver() *Driver { return New(Config{Protocol: []contract.Protocol{lineProtocol()}}) }

func tcpFlow() *flow.Flow {
	return &flow.Flow{Proto: decode.ProtoTCP, ServerPort: 99, ClientPort: 1234}
}

func TestLinesBecomeTransactions(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	if n := d.Feed(f, flow.ToServer, []byte("LI"), 0, false, 1, 1); n != 0 || f.AppProto != Unknown {
		t.Fatalf("two bytes: consumed %d, protocol %d", n, f.AppProto)
	}
	if n := d.Feed(f, flow.ToServer, []byte("LINE a\nLINE"), 0, false, 2, 2); n != 7 {
		t.Fatalf("consumed %d, want 7", n)
	}
	c := d.Conversation(f)
	if d.Name(f.AppProto) != "line" || len(c.Txs()) != 1 || c.Txs()[0].State().FirstNumber != 2 {
		t.Fatalf("protocol %q, %d transactions", d.Name(f.AppProto), len(c.Txs()))
	}
	d.Settle(f)
	if len(c.Txs()) != 0 {
		t.Errorf("complete transaction was not released")
	}
	d.End(f, 3, 3)
	d.Forget(f)
	if f.App != 0 || d.Conversation(f) != nil {
		t.Errorf("flow is not forgotten")
	}
}

func TestUnknownBytesFail(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	d.Feed(f, flow.ToServer, []byte("nothing known"), 0, false, 1, 1)
	if f.AppProto != Unknown || f.AppProtoTS != Failed {
		t.Fatalf("after one side: %d %d", f.AppProto, f.AppProtoTS)
	}
	if n := d.Feed(f, flow.ToClient, []byte("nothing here"), 0, false, 1, 2); n != 12 || f.AppProto != Failed {
		t.Fatalf("consumed %d, protocol %d", n, f.AppProto)
	}
}

func TestServerTellsTheProtocol(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	d.Feed(f, flow.ToServer, []byte("what?\n"), 0, false, 1, 1)
	n := d.Feed(f, flow.ToClient, []byte("SRVR hello\n"), 0, false, 1, 2)
	c := d.Conversation(f)
	if n != 0 || !c.Again || d.Name(f.AppProto) != "line" {
		t.Fatalf("consumed %d again %v protocol %d", n, c.Again, f.AppProto)
	}
	d.Feed(f, flow.ToServer, []byte("what?\n"), 0, false, 1, 2)
	d.Feed(f, flow.ToClient, []byte("SRVR hello\n"), 0, false, 1, 2)
	if len(c.Txs()) != 2 {
		t.Errorf("%d transactions, want 2", len(c.Txs()))
	}
}

func TestReversedMidstreamAsksForASwap(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	f.Midstream = true
	d.Feed(f, flow.ToServer, []byte("SRVR hello\n"), 0, false, 1, 1)
	if c := d.Conversation(f); !c.Swap {
		t.Fatalf("no swap asked for")
	}
	f.Swapped = true
	if n := d.Feed(f, flow.ToClient, []byte("SRVR hello\n"), 0, false, 1, 1); n != 11 {
		t.Errorf("consumed %d after the swap", n)
	}
}

func TestPanicCostsTheParserOnly(t *testing.T) {
	d := newDriver()
	for i := range 3 {
		f := tcpFlow()
		if n := d.Feed(f, flow.ToServer, []byte("LINE panic\nrest"), 0, false, int64(i), 1); n != 15 {
			t.Fatalf("consumed %d", n)
		}
		if c := d.Conversation(f); !c.Panicked || c.Txs() != nil {
			t.Fatalf("panic not noted")
		}
		d.Settle(f)
		d.Forget(f)
	}
	if c := d.Counters(d.ID("line")); c.Panics != 3 || !c.Off {
		t.Errorf("counters %+v", c)
	}
	f := tcpFlow()
	d.Feed(f, flow.ToServer, []byte("LINE again\n"), 0, false, 5, 1)
	if f.AppProto != Unknown {
		t.Errorf("protocol still probed after three panics")
	}
}

func TestUpgradeProbesAgain(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	data := []byte("LINE upgrade\nLINE b\n")
	n := d.Feed(f, flow.ToServer, data, 0, false, 1, 1)
	c := d.Conversation(f)
	if n != 13 || !c.Again || !c.Complete(c.Txs()[0]) {
		t.Fatalf("consumed %d again %v", n, c.Again)
	}
	d.Settle(f)
	if n = d.Feed(f, flow.ToServer, data[13:], 0, false, 1, 1); n != 7 || c.Before != d.ID("line") {
		t.Errorf("after the upgrade: consumed %d, before %d", n, c.Before)
	}
}

func TestExpectedFlowIsKnown(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	f.ID = 42
	d.Feed(f, flow.ToServer, []byte("LINE expect\n"), 0, false, 1, 1)
	g := &flow.Flow{Proto: decode.ProtoTCP, ServerPort: 777}
	d.Feed(g, flow.ToServer, []byte("??"), 0, false, 2, 2)
	if g.Parent != 42 || d.Name(g.AppProto) != "line" {
		t.Errorf("parent %d protocol %q", g.Parent, d.Name(g.AppProto))
	}
}

func TestGapWhileUnknownIsToldToTheParser(t *testing.T) {
	d, f := newDriver(), tcpFlow()
	d.Feed(f, flow.ToServer, []byte("LINE x\n"), 10, false, 1, 1)
	if f.AppProtoTS != Failed {
		t.Errorf("a hole at the start was not a failure of that side")
	}
}

func TestVocabulary(t *testing.T) {
	v := newDriver().Vocabulary()
	if w, ok := v.Keyword("line.text"); !ok || w.App != "line" || w.Index != 0 {
		t.Errorf("line.text: %+v %v", w, ok)
	}
	if w, ok := v.Keyword("file_data"); !ok || w.App != "" || w.Modifier {
		t.Errorf("file_data: %+v %v", w, ok)
	}
	if i, ok := v.Event("line", "odd"); !ok || i != 0 {
		t.Errorf("event: %d %v", i, ok)
	}
}
