package behaviour

import (
	"fmt"
	"slices"

	"github.com/dejpha/dejpha/decode"
)

// Bounds of the port scan detector. A client that knows where it is going meets few closed doors: ten
// distinct ones within the window, and twice as many as open ones, are taken for a search (after Jung et
// al., "Fast Portscan Detection Using Sequential Hypothesis Testing", where five to ten decide).
const (
	scanFailedMin   = 10
	scanPendingMin  = 25
	scanSilentMin   = 7  // hosts on one port, when no door at all was open
	scanPortsFew    = 3  // ports asked of many hosts, when no door at all was open
	scanAckMin      = 24 // ports asked with bare acknowledgements from one port
	scanWindow      = 60 * minute
	scanAnswerTime  = 3 * second // an unanswered first packet counts as failed after so long
	scanTargetsMax  = 512        // remembered a source
	scanReportEvery = 32         // further targets until the next finding
	scanSilentDoors = 5          // ports of one host opened and left without a word
	scanSilentAfter = 2          // likewise, by a source whose search was told already
	scanSilentTime  = minute
	scanGreeting    = 1024 // services that greet whoever comes have ports below
)

// scan finds searches for open ports and living hosts: TCP (any flags), UDP, IPv4 and IPv6; vertical, horizontal and slow.
type scan struct {
	sources *table[scanKey, scanSource]
}

type scanKey struct {
	source decode.Addr
	proto  uint8
}

type scanTarget struct {
	host decode.Addr
	port uint16
}

type doorState uint8

const (
	doorPending doorState = iota
	doorFailed
	doorOpen
)

type door struct {
	at    int64
	state doorState
}

// doors are those of one source. Most sources ask for one or two: a few lie in a list.
type doors struct {
	few  []doorOf
	room [2]doorOf
	many map[scanTarget]door // of more than doorsFew; few is empty then
}

type doorOf struct {
	target scanTarget
	door   door
}

const doorsFew = 8

func (d *doors) len() int { return len(d.few) + len(d.many) }

func (d *doors) get(t scanTarget) (door, bool) {
	for i := range d.few {
		if d.few[i].target == t {
			return d.few[i].door, true
		}
	}
	x, known := d.many[t]
	return x, known
}

func (d *doors) set(t scanTarget, to door) {
	for i := range d.few {
		if d.few[i].target == t {
			d.few[i].door = to
			return
		}
	}
	switch {
	case d.many != nil:
		d.many[t] = to
	case d.few == nil:
		d.few = append(d.room[:0], doorOf{t, to})
	case len(d.few) < doorsFew:
		d.few = append(d.few, doorOf{t, to})
	default:
		d.many = make(map[scanTarget]door, 2*doorsFew)
		for _, x := range d.few {
			d.many[x.target] = x.door
		}
		d.few, d.many[t] = nil, to
	}
}

func (d *doors) remove(t scanTarget) {
	d.few = slices.DeleteFunc(d.few, func(x doorOf) bool { return x.target == t })
	delete(d.many, t)
}

// each goes through all, in no order, until do says no.
func (d *doors) each(do func(scanTarget, door) bool) {
	for i := range d.few {
		if !do(d.few[i].target, d.few[i].door) {
			return
		}
	}
	for t, x := range d.many {
		if !do(t, x) {
			return
		}
	}
}

type scanSource struct {
	doors    doors
	order    []scanTarget // in order of first attempt, to age and forget
	first    [2]scanTarget
	aged     int // order[:aged] are no longer pending
	counts   [3]int
	reported int
	looked   uint32
	silent   int          // doors that gave no answer
	refused  int          // doors that answered no
	acks     seen[uint16] // ports asked with bare acknowledgements
	knocks   seen[scanTarget]
	knocked  int64 // when it was last told of them
}

func newScan(c Config) Detector {
	return &scan{newTable[scanKey, scanSource](c.HostsMax)}
}

// Name implements Detector.
func (*scan) Name() string { return "port-scan" }

// Wants implements Detector.
func (*scan) Wants() Kind { return FlowStart | Established | Refused | Ended | Hangup }

// Dropped implements Detector.
func (d *scan) Dropped() uint64 { return d.sources.Dropped }

// Observe implements Detector.
func (d *scan) Observe(s *Signal, report func(Finding)) {
	if s.Proto != decode.ProtoTCP && s.Proto != decode.ProtoUDP || !searching(s) {
		return
	}
	t := scanTarget{s.Server, s.ServerPort}
	if s.Kind == Hangup {
		d.knock(s, report)
		return
	}
	if s.Kind == Ended {
		src := d.sources.find(scanKey{s.Client, s.Proto})
		if src != nil && src.unanswered(t, s) {
			src.age(s.Time)
			src.settle(t, doorFailed)
			src.silent++
			d.judge(src, s, report)
		}
		return
	}
	src, _ := d.sources.get(scanKey{s.Client, s.Proto})
	src.age(s.Time)
	switch s.Kind {
	case FlowStart:
		if s.Proto == decode.ProtoTCP && s.Flags&decode.SYN == 0 && !oddFlags(s.Flags) {
			if d.probedByAck(src, s) {
				report(finding("port-scan", "scan", []string{"T1046", "T1595.001"}, 2, fmt.Sprintf("%d ports asked with bare acknowledgements from one port", src.acks.len()), s))
			}
			return // the middle of a connection, until a reset says otherwise
		}
		src.attempt(t, s.Time)
		if s.Proto == decode.ProtoTCP && oddFlags(s.Flags) {
			src.settle(t, doorFailed)
		}
	case Established:
		src.settle(t, doorOpen)
		return
	case Refused:
		src.attempt(t, s.Time)
		src.settle(t, doorFailed)
		src.refused++
	}
	d.judge(src, s, report)
}

// knock counts doors that were opened and left without a word: handshakes that prove whose search it is, where closed
// doors prove nothing. A source whose search was told already needs fewer: others may forge its search, never its
// handshakes.
func (d *scan) knock(s *Signal, report func(Finding)) {
	if s.Proto != decode.ProtoTCP || s.HasData || !s.Proven || s.Midstream {
		return
	}
	if s.Size > 0 && s.ServerPort >= scanGreeting {
		return // files are fetched so, over FTP
	}
	src, _ := d.sources.get(scanKey{s.Client, s.Proto})
	src.knocks.limit, src.knocks.life = 8*scanSilentDoors, scanSilentTime
	src.knocks.add(scanTarget{s.Server, s.ServerPort}, s.Time)
	src.knocks.since(s.Time - scanSilentTime)
	ports := 0
	for t := range src.knocks.times {
		if t.host == s.Server {
			ports++
		}
	}
	least := scanSilentDoors
	if src.reported > 0 {
		least = scanSilentAfter
	}
	if ports < least || src.knocked != 0 && s.Time-src.knocked < scanSilentTime {
		return
	}
	src.knocked = s.Time
	f := finding("port-scan", "scan", []string{"T1046", "T1595.001"}, 2, fmt.Sprintf("%d ports of one host opened and left without a word", ports), s)
	f.Result = "succeeded"
	report(f)
}

// judge reports a source whose doors are those of a search: many of one host, one of many hosts, or a few of many.
func (d *scan) judge(src *scanSource, s *Signal, report func(Finding)) {
	if !src.isSearch() {
		return
	}
	if src.looked++; src.doors.len() >= scanTargetsMax/2 && src.looked%8 != 0 { // a look costs as much as there are doors
		return
	}
	hosts, ports := src.spread(s.Server, s.ServerPort)
	silent := src.counts[doorOpen] == 0
	switch {
	case hosts >= scanFailedMin, silent && hosts >= scanSilentMin, src.refused >= scanFailedMin, ports >= scanFailedMin:
	case s.Proto == decode.ProtoTCP && hosts+ports >= scanPendingMin:
	case silent && src.narrow():
	default:
		return
	}
	src.reported = src.doors.len()
	report(src.finding(s, hosts, ports))
}

// unanswered says whether the flow that ended shows that nobody stood behind the door: it was asked twice, or long
// ago, or the stamps are of no order, so that the clock stands and no waiting shows.
func (c *scanSource) unanswered(t scanTarget, s *Signal) bool {
	d, known := c.doors.get(t)
	if !known || d.state != doorPending || s.Packets[1] != 0 {
		return false
	}
	return s.Packets[0] > 1 || s.Time-d.at >= scanAnswerTime || s.Time <= d.at
}

// narrow says whether ten hosts or more were asked for the same few ports, as when a list of addresses is gone through.
func (c *scanSource) narrow() bool {
	var ports [scanPortsFew]uint16
	n := 0
	hosts := map[decode.Addr]bool{}
	few := true
	c.doors.each(func(t scanTarget, d door) bool {
		if d.state != doorFailed {
			return true
		}
		if !slices.Contains(ports[:n], t.port) {
			if n == len(ports) {
				few = false
				return false
			}
			ports[n] = t.port
			n++
		}
		hosts[t.host] = true
		return true
	})
	return few && len(hosts) >= scanFailedMin
}

// searching leaves out what looks like a search and is none: group addresses, traceroute's rising
// ports with small hop limits, answers seen without their questions, and the middle of connections.
func searching(s *Signal) bool {
	if group(s.Server, s.IPVersion) {
		return false
	}
	if s.Proto == decode.ProtoUDP {
		if s.Kind == FlowStart && s.TTL < 31 && s.ServerPort >= 33434 && s.ServerPort < 33700 {
			return false
		}
		return s.ClientPort >= 1024 || s.ServerPort < 1024
	}
	if s.Kind == FlowStart && s.Flags&(decode.SYN|decode.ACK|decode.RST|decode.FIN) != decode.SYN {
		return s.Flags&decode.RST == 0 && !s.HasData && s.Flags&decode.SYN == 0 && s.ServerPort < s.ClientPort
	}
	return true
}

// group says whether a is a multicast, broadcast or unspecified address.
func group(a decode.Addr, version uint8) bool {
	if version == 4 {
		return a[12] >= 224 && a[12] < 240 || a[15] == 255 || a[12] == 0
	}
	return a[0] == 0xff
}

// probedByAck counts the ports of hosts that get an acknowledgement out of nowhere, always from the same port.
func (d *scan) probedByAck(src *scanSource, s *Signal) bool {
	if s.Flags != decode.ACK || s.HasData {
		return false
	}
	src.acks.limit, src.acks.life = 4*scanAckMin, scanWindow
	return src.acks.add(s.ServerPort, s.Time) && src.acks.len() == scanAckMin
}

func (c *scanSource) attempt(t scanTarget, now int64) {
	if _, known := c.doors.get(t); known {
		return
	}
	for len(c.order) > 0 && (len(c.order) >= scanTargetsMax || c.at(0) < now-scanWindow) {
		c.forget()
	}
	c.doors.set(t, door{now, doorPending})
	c.counts[doorPending]++
	if c.order == nil {
		c.order = c.first[:0]
	}
	c.order = append(c.order, t)
}

// at is when the i-th attempt was made.
func (c *scanSource) at(i int) int64 {
	d, _ := c.doors.get(c.order[i])
	return d.at
}

func (c *scanSource) forget() {
	t := c.order[0]
	d, _ := c.doors.get(t)
	c.counts[d.state]--
	c.doors.remove(t)
	c.order = c.order[1:]
	c.aged = max(0, c.aged-1)
	c.reported = min(c.reported, c.doors.len())
}

func (c *scanSource) settle(t scanTarget, to doorState) {
	d, known := c.doors.get(t)
	if !known || d.state == doorOpen {
		return
	}
	c.counts[d.state]--
	c.counts[to]++
	d.state = to
	c.doors.set(t, d)
}

// age turns attempts that waited too long into failed ones.
func (c *scanSource) age(now int64) {
	for c.aged < len(c.order) && c.at(c.aged) < now-scanAnswerTime {
		if d, _ := c.doors.get(c.order[c.aged]); d.state == doorPending {
			c.settle(c.order[c.aged], doorFailed)
			c.silent++
		}
		c.aged++
	}
}

func (c *scanSource) isSearch() bool {
	failed, pending, open := c.counts[doorFailed], c.counts[doorPending], c.counts[doorOpen]
	least := scanFailedMin
	if open == 0 {
		least = scanSilentMin
	}
	if c.reported > 0 && c.doors.len() < c.reported+scanReportEvery {
		return false
	}
	return failed >= least && failed >= 2*open || failed+pending >= scanPendingMin && failed+pending >= 4*open
}

// spread counts the hosts on which this port failed and the ports of this host that failed.
func (c *scanSource) spread(host decode.Addr, port uint16) (hosts, ports int) {
	c.doors.each(func(t scanTarget, d door) bool {
		if d.state != doorOpen && t.port == port {
			hosts++
		}
		if d.state != doorOpen && t.host == host {
			ports++
		}
		return true
	})
	return hosts, ports
}

func (c *scanSource) finding(s *Signal, hosts, ports int) Finding {
	text, technique := fmt.Sprintf("%d ports of one host tried without success", ports), []string{"T1046", "T1595.001"}
	switch {
	case hosts > ports && hosts < scanSilentMin:
		text, technique = fmt.Sprintf("a few ports tried on %d hosts or more without success", scanFailedMin), []string{"T1018", "T1046", "T1595.001"}
	case hosts > ports:
		text, technique = fmt.Sprintf("port %d tried on %d hosts without success", s.ServerPort, hosts), []string{"T1018", "T1046", "T1595.001"}
	}
	f := finding("port-scan", "scan", technique, 2, text, s)
	f.Result = "unknown"
	f.Refused = c.counts[doorOpen] == 0 && c.counts[doorPending] == 0 && c.silent == 0 && c.refused > 0
	if c.counts[doorOpen] > 0 {
		f.Result = "succeeded"
	}
	return f
}

// finding fills in what every finding about a flow shares: the client tried something on the server.
func finding(detector, class string, technique []string, severity uint8, text string, s *Signal) Finding {
	return Finding{
		Detector: detector, Class: class, Technique: technique, Severity: severity, Text: text,
		Time: s.Time, Number: s.Number, FlowID: s.FlowID, Proven: s.Proven,
		Origin: s.Client, HasOrigin: true, Target: s.Server, HasTarget: true, TargetPort: s.ServerPort,
		Proto: s.Proto, VLAN: s.VLAN, Interface: s.Interface,
	}
}
