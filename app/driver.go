package app

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/decode"
	"github.com/dejpha/dejpha/flow"
)

// Bounds on what a peer can make the driver hold.
const (
	// probeBytes is how much of one direction is looked at before identification gives up on it;
	// Suricata's first chunk has the same size (stream.reassembly.toserver-chunk-size).
	probeBytes = 2560
	// maxPending is the most a parser may leave unconsumed: a length field that promises more
	// than any protocol's unit is a way to make us hoard.
	maxPending = 512 << 10
	// defaultMaxTx bounds live transactions of a conversation (pipelining without answers).
	defaultMaxTx = 512
	// panicsToOff and panicWindow: a parser that panics so often within the window is switched off until reload.
	panicsToOff = 3
	panicWindow = int64(3600) * 1e9
)

// Config says which protocols run and with which limits.
type Config struct {
	Enabled  func(protocol string) bool   // nil: all
	Settings map[string]map[string]string // protocol name -> protocol-relative configuration keys
	Limits   map[string]contract.Limits   // protocol name -> limits instead of the table's; zero fields keep the table's
	Ports    map[string][]uint16          // protocol name -> port hints instead of the table's
	Frames   bool                         // rules ask for frames
	Protocol []contract.Protocol          // instead of Protocols(); for tests
}

// Counters of one protocol since the driver was made.
type Counters struct {
	Flows, Transactions, Panics, Errors, Gaps, Limits uint64
	Off                                               bool // switched off after panics
}

// Driver identifies and drives the conversations of one worker. Not for concurrent use.
type Driver struct {
	protocols []contract.Protocol // table index; id = index + first
	limits    []contract.Limits
	enabled   []bool
	byPort    map[portKey][]uint16 // hinted protocols, ids
	byName    map[string]uint16
	anywhere  [2][]uint16 // ids probed on any port, by transport: 0 TCP, 1 UDP
	pools     [][]contract.Parser
	counters  []Counters
	panicked  [][]int64 // times of the last panics, by table index
	slots     []*Conversation
	free      []uint32
	expected  expectations
}

type portKey struct {
	port uint16
	udp  bool
}

// New builds a driver; the table is read once.
func New(cfg Config) *Driver {
	table := cfg.Protocol
	if table == nil {
		table = Protocols()
	}
	d := &Driver{
		protocols: table,
		limits:    make([]contract.Limits, len(table)),
		enabled:   make([]bool, len(table)),
		byPort:    map[portKey][]uint16{},
		byName:    map[string]uint16{},
		pools:     make([][]contract.Parser, len(table)),
		counters:  make([]Counters, len(table)),
		panicked:  make([][]int64, len(table)),
		slots:     make([]*Conversation, 1),
	}
	for i := range table {
		d.addProtocol(i, cfg)
	}
	return d
}

func (d *Driver) addProtocol(i int, cfg Config) {
	p := &d.protocols[i]
	id := first + uint16(i)
	d.byName[p.Name] = id
	d.limits[i] = mergeLimits(p.Limits, cfg.Limits[p.Name], cfg.Settings[p.Name])
	d.limits[i].Frames = cfg.Frames
	d.enabled[i] = cfg.Enabled == nil || cfg.Enabled(p.Name)
	if !d.enabled[i] || p.Probe == nil {
		return
	}
	ports := p.ServerPorts
	if own, ok := cfg.Ports[p.Name]; ok {
		ports = own
	}
	for t, transport := range [2]contract.Transport{contract.TCP, contract.UDP} {
		if p.Transport&transport == 0 {
			continue
		}
		for _, port := range ports {
			k := portKey{port, t == 1}
			d.byPort[k] = append(d.byPort[k], id)
		}
		if !p.PortOnly {
			d.anywhere[t] = append(d.anywhere[t], id)
		}
	}
}

// KeepFrames says whether rules ask for frames, for the conversations that begin from now on.
func (d *Driver) KeepFrames(on bool) {
	for i := range d.limits {
		d.limits[i].Frames = on
	}
}

func mergeLimits(base, own contract.Limits, settings map[string]string) contract.Limits {
	if own.MaxTx > 0 {
		base.MaxTx = own.MaxTx
	}
	for i, n := range own.BodyBytes {
		if n > 0 {
			base.BodyBytes[i] = n
		}
	}
	if own.BufferBytes > 0 {
		base.BufferBytes = own.BufferBytes
	}
	if base.MaxTx <= 0 {
		base.MaxTx = defaultMaxTx
	}
	if settings != nil {
		base.Settings = settings
	}
	return base
}

// Name is eve's app_proto for a number: a protocol's name, "failed", or "" while unknown.
func (d *Driver) Name(id uint16) string {
	switch {
	case id == Failed:
		return "failed"
	case id < first || int(id-first) >= len(d.protocols):
		return ""
	}
	return d.protocols[id-first].Name
}

// ID is the number of a protocol's name, 0 if there is none.
func (d *Driver) ID(name string) uint16 { return d.byName[name] }

// Protocol is the table's line of a number, nil if it has none.
func (d *Driver) Protocol(id uint16) *contract.Protocol {
	if id < first || int(id-first) >= len(d.protocols) {
		return nil
	}
	return &d.protocols[id-first]
}

// Counters returns the counters of a protocol's number; the zero value if it has none.
func (d *Driver) Counters(id uint16) Counters {
	if id < first || int(id-first) >= len(d.counters) {
		return Counters{}
	}
	return d.counters[id-first]
}

// Conversation returns what is known of the flow, nil if app never saw bytes of it.
func (d *Driver) Conversation(f *flow.Flow) *Conversation {
	if f.App == 0 || int(f.App) >= len(d.slots) {
		return nil
	}
	return d.slots[f.App]
}

// Limits is how often a parser was stopped, or a transaction given up, because of a bound on what it may hold.
func (d *Driver) Limits() (n uint64) {
	for i := range d.counters {
		n += d.counters[i].Limits
	}
	return n
}

func (d *Driver) open(f *flow.Flow, number uint64) *Conversation {
	if c := d.Conversation(f); c != nil {
		return c
	}
	var slot uint32
	if n := len(d.free); n > 0 {
		slot, d.free = d.free[n-1], d.free[:n-1]
	} else {
		slot = uint32(len(d.slots))
		d.slots = append(d.slots, &Conversation{})
	}
	f.App = slot
	c := d.slots[slot]
	c.FirstNumber = number
	return c
}

// Feed hands over the next bytes of one direction of a TCP flow. gap > 0: so many bytes were lost just before data.
// end: nothing follows data in this direction. It returns how many bytes were taken; the rest is offered
// again with more behind it. After it returns look at the conversation: Swap asks to exchange the flow's ends and
// feed the same bytes again from the other side; Again asks to offer what is left in both directions at once,
// the client's first, after the transactions were inspected and settled.
func (d *Driver) Feed(f *flow.Flow, dir flow.Direction, data []byte, gap int, end bool, time int64, number uint64) (consumed int) {
	if f.App == 0 && len(data) == 0 {
		return 0
	}
	c := d.open(f, number)
	c.Again, c.Swap, c.Expect = false, false, nil
	if c.pending != "" {
		d.upgrade(f, c)
	}
	in := contract.Input{Dir: contract.Direction(dir), Data: data, Gap: gap, End: end, Time: time, Number: number,
		ClientPort: f.ClientPort, ServerPort: f.ServerPort}
	if c.Protocol == nil && !c.finished {
		if settled, n := d.identify(f, c, &in); !settled {
			return n
		}
	}
	if c.finished {
		return len(data)
	}
	return d.parse(f, c, &in)
}

// Datagram hands over one UDP payload. Swap may be set afterwards, as with Feed.
func (d *Driver) Datagram(f *flow.Flow, dir flow.Direction, payload []byte, time int64, number uint64) {
	if len(payload) == 0 {
		return
	}
	c := d.open(f, number)
	c.Again, c.Swap, c.Expect = false, false, nil
	in := contract.Input{Dir: contract.Direction(dir), Data: payload, Time: time, Number: number, UDP: true,
		ClientPort: f.ClientPort, ServerPort: f.ServerPort}
	if f.AppCount > 0 {
		d.takeUp(f, c)
	}
	if c.Protocol == nil && !c.finished {
		if settled, _ := d.identify(f, c, &in); !settled {
			return
		}
	}
	if !c.finished {
		d.parse(f, c, &in)
	}
}

// lend frees what a datagram conversation without live transactions holds: most never see another packet.
func (d *Driver) lend(f *flow.Flow, c *Conversation) {
	p, ok := c.parser.(contract.Waiting)
	if !ok || c.finished || len(c.parser.Txs()) > 0 || c.EventsSeen < len(c.Events) {
		return
	}
	f.AppCount = uint32(min(p.Count(), 1<<32-1))
	d.Forget(f)
}

// takeUp gives a conversation that lend freed a parser again.
func (d *Driver) takeUp(f *flow.Flow, c *Conversation) {
	d.equip(c, f.AppProto)
	c.parser.(contract.Waiting).GoOn(uint64(f.AppCount))
	f.AppCount = 0
}

// parse gives bytes to the parser and acts on its answer; it returns how many bytes were taken.
func (d *Driver) parse(f *flow.Flow, c *Conversation, in *contract.Input) int {
	dir := in.Dir
	if in.Gap == 0 && !in.End && len(in.Data) < c.need[dir] {
		return 0
	}
	if c.skipped[dir] > 0 {
		in.Gap += c.skipped[dir]
		c.skipped[dir] = 0
	}
	if in.Gap > 0 {
		d.counters[c.ID-first].Gaps++
	}
	res, ok := d.call(c, in)
	if !ok {
		d.punish(c, in.Time)
		d.stop(c)
		return len(in.Data)
	}
	res.Consumed = min(max(res.Consumed, 0), len(in.Data))
	c.need[dir] = res.Need
	c.note(in)
	if res.Expect != nil {
		c.Expect = res.Expect
		d.expected.add(f, d.byName[res.Expect.Protocol], res.Expect, in.Time)
	}
	return d.after(c, in, res)
}

// after acts on a parser's answer: stop, upgrade, limits, the end of a direction.
func (d *Driver) after(c *Conversation, in *contract.Input, res contract.Result) int {
	count := &d.counters[c.ID-first]
	switch {
	case res.Stop != contract.StopNone:
		switch res.Stop {
		case contract.StopError:
			count.Errors++
		case contract.StopLimit:
			count.Limits++
		}
		c.Stopped = res.Stop
		d.stop(c)
		return len(in.Data)
	case res.Upgrade != "":
		c.pending = res.Upgrade
		c.Again = true
		c.finishAll()
		return res.Consumed
	case len(in.Data)-res.Consumed > maxPending:
		count.Limits++
		c.Stopped = contract.StopLimit
		d.stop(c)
		return len(in.Data)
	}
	if in.End {
		c.endDirection(in.Dir)
		return len(in.Data)
	}
	if txs := c.parser.Txs(); len(txs) > d.limits[c.ID-first].MaxTx {
		for _, tx := range txs[:len(txs)-d.limits[c.ID-first].MaxTx] {
			tx.State().Done = [2]bool{true, true}
		}
		count.Limits++
	}
	return res.Consumed
}

// call runs the parser; ok false: it panicked and must not be called again.
func (d *Driver) call(c *Conversation, in *contract.Input) (res contract.Result, ok bool) {
	defer func() {
		if !ok {
			_ = recover()
		}
	}()
	return c.parser.Feed(*in), true
}

// punish counts a panic and switches the protocol off after too many within the window.
func (d *Driver) punish(c *Conversation, now int64) {
	i := c.ID - first
	c.Panicked = true
	d.counters[i].Panics++
	times := d.panicked[i]
	keep := times[:0]
	for _, t := range times {
		if now-t < panicWindow {
			keep = append(keep, t)
		}
	}
	d.panicked[i] = append(keep, now)
	if len(d.panicked[i]) >= panicsToOff {
		d.enabled[i] = false
		d.counters[i].Off = true
	}
}

// stop ends parsing on the conversation; its transactions stay readable until settled.
func (d *Driver) stop(c *Conversation) {
	c.finished = true
	if !c.Panicked {
		c.finishAll()
	}
}

// start gives the conversation a parser for protocol id.
func (d *Driver) start(f *flow.Flow, c *Conversation, id uint16) {
	d.equip(c, id)
	d.counters[id-first].Flows++
	f.AppProto = id
	f.AppDone = [2]bool{true, true}
	if c.announced != nil {
		if e, ok := c.parser.(contract.Expected); ok {
			e.Announce(c.announced)
		}
		c.announced = nil
	}
}

// equip takes a parser for protocol id from its pool.
func (d *Driver) equip(c *Conversation, id uint16) {
	i := id - first
	c.Protocol, c.ID, c.limits = &d.protocols[i], id, &d.limits[i]
	if n := len(d.pools[i]); n > 0 {
		c.parser, d.pools[i] = d.pools[i][n-1], d.pools[i][:n-1]
		return
	}
	c.parser = d.protocols[i].New(d.limits[i])
}

// upgrade changes the protocol as the last parser said; its transactions were settled or are lost now.
func (d *Driver) upgrade(f *flow.Flow, c *Conversation) {
	next := c.pending
	before := c.ID
	d.retire(c)
	*c = Conversation{FirstNumber: c.FirstNumber, Before: before, need: [2]int{}}
	f.AppProto, f.AppProtoTS, f.AppProtoTC = Unknown, Unknown, Unknown
	f.AppDone = [2]bool{}
	if next == contract.UpgradeProbe {
		return
	}
	id := d.byName[next]
	if id == 0 || !d.enabled[id-first] {
		f.AppProto = Failed
		f.AppDone = [2]bool{true, true}
		c.finished = true
		return
	}
	d.start(f, c, id)
	f.AppProtoTS, f.AppProtoTC = id, id
}

// retire puts the parser back into its pool; one that panicked is thrown away.
func (d *Driver) retire(c *Conversation) {
	if c.parser == nil {
		return
	}
	if i := c.ID - first; !c.Panicked && len(d.pools[i]) < 1024 {
		c.parser.Reset()
		d.pools[i] = append(d.pools[i], c.parser)
	}
	c.parser = nil
}

// Settle releases the oldest transactions that are complete. Call it when detect, eve and the own
// detectors had their turn on the conversation after a Feed, Datagram or End.
func (d *Driver) Settle(f *flow.Flow) {
	c := d.Conversation(f)
	if c == nil || c.parser == nil || c.Panicked {
		return
	}
	n := 0
	for _, tx := range c.parser.Txs() {
		if !c.Complete(tx) {
			break
		}
		n++
	}
	if n > 0 {
		d.counters[c.ID-first].Transactions += uint64(n)
		c.parser.Release(n)
	}
	if f.Proto == decode.ProtoUDP {
		d.lend(f, c)
	}
}

// End says that the flow is over: all its transactions are complete now and wait for a last look. Then call Forget.
func (d *Driver) End(f *flow.Flow, time int64, number uint64) {
	c := d.Conversation(f)
	if c == nil || c.parser == nil || c.finished {
		return
	}
	for dir := contract.ToServer; dir <= contract.ToClient && !c.finished; dir++ {
		if !c.ended[dir] {
			in := contract.Input{Dir: dir, End: true, Time: time, Number: number, UDP: f.Proto == decode.ProtoUDP,
				ClientPort: f.ClientPort, ServerPort: f.ServerPort}
			d.parse(f, c, &in)
		}
	}
	if !c.Panicked {
		c.finishAll()
	}
}

// Forget frees what the flow holds here. The conversation is invalid afterwards.
func (d *Driver) Forget(f *flow.Flow) {
	c := d.Conversation(f)
	if c == nil {
		return
	}
	d.retire(c)
	*c = Conversation{Events: c.Events[:0]}
	d.free = append(d.free, f.App)
	f.App = 0
}
