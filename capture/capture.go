// Package capture says where packets come from: the frame and the source that every kind of capture offers.
//
// In: nothing of ours. Out: frames with time, lengths, link type and interface. Called by shield's reader.
// It never looks into a frame and never changes its time.
package capture

import "errors"

// Frame is one captured frame. Data is valid until the next call of the source's Next.
type Frame struct {
	Data      []byte
	Time      int64  // ns since 1970 UTC, as the capture says
	WireLen   uint32 // length on the wire, bytes; at least len(Data)
	LinkType  uint16 // LINKTYPE_ number
	Interface uint16 // index within the capture
	Unsummed  bool   // sent by this machine with its checksums left to the hardware: they say nothing
}

// Source yields frames.
type Source interface {
	// Next fills f with the next frame. io.EOF at the end; ErrDamaged where the rest cannot be read; from a live
	// source, ErrIdle.
	Next(f *Frame) error
	Close() error
}

// Live is a source that time does not wait for. All its methods are called from one goroutine.
type Live interface {
	Source
	// Stop lets nothing more in: Next yields what the kernel holds already, then io.EOF.
	Stop()
	// Interfaces are the names of what is watched, by Frame.Interface.
	Interfaces() []string
	// Stats are the counts so far.
	Stats() Stats
}

// Verdict is the fate of one frame.
type Verdict uint8

// Verdicts.
const (
	Accept Verdict = iota // it goes on to where it was sent
	Drop                  // it goes no further
)

// Inline is a live source in the traffic's way: what Next yields goes on only if told. Called from one goroutine.
type Inline interface {
	Live
	// Verdict decides the frame that Next yielded last; called once for each, before the next call of Next. An error
	// says that the kernel does not take verdicts any more.
	Verdict(v Verdict) error
	// Release is Stop, and more: whatever was to happen to traffic while nobody looks, from here on everything passes.
	Release()
	// Inject sends a frame of ours out on an interface (Frame.Interface), with the link type that its frames have.
	Inject(iface uint16, frame []byte) error
}

// Exposed is an inline source that traffic can go past, or be stopped at, without being shown: while no process stands
// there, or one that does not answer.
type Exposed interface {
	// Unprotected yields a stretch of time that was not reported before; ok is false when there is none. Called from the
	// source's goroutine.
	Unprotected() (gap Gap, ok bool)
}

// Gap is a stretch of time without protection.
type Gap struct {
	From, To int64  // ns since 1970 UTC
	Passed   uint64 // frames that went on without being shown
	Stopped  uint64 // frames that the kernel stopped, because it was told to
	Done     func() // says that it is on record, else it is yielded again at the next start; from any goroutine, before Close
}

// Stats are running counts of a live source. After Stop and io.EOF they balance: Received is what Next yielded
// + Dropped + Skipped + Damaged + Bypassed.
type Stats struct {
	Received uint64 // seen by the kernel on the interface
	Dropped  uint64 // of those, lost because the reader was too slow
	Skipped  uint64 // of those, left out as second sight of a packet (loopback shows each twice)
	Damaged  uint64 // of those, in a block whose headers lie
	Bypassed uint64 // of those, sent on by the kernel without being shown: the sum of Why
	Why      [Reasons]uint64
	Unsent   uint64 // not of those: frames that were accepted and could not be sent on
}

// Reason says why the kernel did not show frames that went on.
type Reason uint8

// Reasons. The first are wishes, of a rule or a setting; the others befell the shield.
const (
	ByRule    Reason = iota // a rule has the keyword bypass
	ByBytes                 // the conversation was as long as the setting says
	ByDepth                 // its stream was past the depth to which it is put together
	ByTLS                   // both ends had gone over to encryption
	BySSH                   // likewise
	Unwatched               // nobody stood in the way, or did not answer in time
	Overrun                 // more waited than there is room for, and it was let through rather than lost
	Reasons   = iota        // how many there are, at most 8
)

var reasonNames = [Reasons]string{"rule", "bytes", "depth", "tls", "ssh", "unwatched", "overrun"}

// String is the reason's name in records, "" for none that there is.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return ""
}

// Face is one interface of a live source: what it is, and its counts so far.
type Face struct {
	Name      string
	Mode      string // "tap", "af-xdp", "bridge" or "nfqueue"
	OnFailure string // of one in the way, while nobody answers: "pass" or "block"; "" for a tap
	Filter    string // what the kernel shows, as it was written; "": everything
	Down      bool
	Stats
}

// Apart is a live source that tells its interfaces apart. Called from the source's goroutine.
type Apart interface {
	// Faces appends its interfaces, by Frame.Interface, to into.
	Faces(into []Face) []Face
}

// ErrDamaged says that a capture cannot be read to its end.
var ErrDamaged = errors.New("capture damaged before its end")

// ErrIdle says that a live source has nothing waiting: the caller finishes what it has in hand and lets Frame.Time, up to
// which every frame was yielded, pass. The next call of Next waits a little before it says so again.
var ErrIdle = errors.New("nothing is waiting")

// ErrNotCapture says that a file is no capture in a format known here.
var ErrNotCapture = errors.New("not a pcap or pcapng capture")

// Conversation names what a live source may be told to skip: the two ends, as they are in the frames, IPv4 addresses
// mapped into IPv6 (::ffff:0:0/96), behind 0 to 3 VLAN tags, the outermost first.
type Conversation struct {
	A, B         [16]byte
	PortA, PortB uint16
	Proto        uint8 // 6 or 17, as IP numbers them
	IPVersion    uint8
	VLANs        uint8
	VLAN         [3]uint16 // ids, 0 to 4095
}

// Skipped is what the kernel did not show of one direction.
type Skipped struct{ Packets, Bytes uint64 }

// Bypasser is a live source whose kernel can skip conversations. Called from the source's goroutine.
type Bypasser interface {
	// Bypass has frames of both directions skipped and counted (Stats.Bypassed), but for those that begin or end a
	// connection, fragments, and one now and then that shows that it lives. false: not on this interface; all is shown.
	Bypass(iface uint16, c *Conversation, why Reason) bool
	// Resume ends that, and says what was skipped from A and from B.
	Resume(c *Conversation) (fromA, fromB Skipped)
}
