package console

import (
	"errors"
	"net/http"
	"sync/atomic"
)

// Block is one block in force.
type Block struct {
	Prefix  string `json:"prefix"`
	By      string `json:"by"` // the policy's line, or a person
	Attack  uint64 `json:"attack"`
	Since   int64  `json:"since_ms"`
	Until   int64  `json:"until_ms"` // 0: for good
	Rate    uint32 `json:"rate"`     // packets/s let through; 0: none
	Packets uint64 `json:"packets"`  // stopped
	Bytes   uint64 `json:"bytes"`
}

// Price is what a rehearsal would have stopped and cost.
type Price struct {
	Since   int64  `json:"since_ms"`
	Blocks  int    `json:"blocks"`
	Hosts   int    `json:"hosts"`
	Stopped uint64 `json:"stopped"` // packets
	Cost    uint64 `json:"cost"`    // completed sessions with services that were not attacked
	Perhaps uint64 `json:"perhaps"` // with attacked ones, in which nothing was seen
	Besides int    `json:"besides"` // other hosts of networks blocked whole
}

// Blocks is what is blocked, and how.
type Blocks struct {
	Way   string  `json:"way"`  // how the kernel blocks
	Mode  string  `json:"mode"` // "on", "rehearsal", "off", or "none": nothing is blocked by a run of this kind
	Total int     `json:"total"`
	Items []Block `json:"items"` // the newest first, at most 1,000
	Price *Price  `json:"price"` // of a rehearsal; null while the shield acts
}

// Blocker is a shield that blocks.
type Blocker interface {
	// Blocks is what stands now. The error is for a person.
	Blocks() (Blocks, error)
	// Undo ends a block for a person, who may say why. ErrNotBlocked: there is none.
	Undo(prefix, why string) error
}

// ErrNotBlocked says that nothing is blocked by that prefix.
var ErrNotBlocked = errors.New("not blocked")

// blocksShown bounds an answer.
const blocksShown = 1000

// blocker holds a Blocker that comes when the run stands.
type blocker struct{ at atomic.Pointer[Blocker] }

// Blocking tells the console who blocks; from any goroutine.
func (c *Console) Blocking(b Blocker) { c.blocker.at.Store(&b) }

func (c *Console) blocks(w http.ResponseWriter, _ *http.Request) {
	b := c.blocker.at.Load()
	if b == nil {
		answer(w, Blocks{Mode: "none", Items: []Block{}})
		return
	}
	all, err := (*b).Blocks()
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	all.Total = len(all.Items)
	all.Items = all.Items[:min(len(all.Items), blocksShown)]
	if all.Items == nil {
		all.Items = []Block{}
	}
	answer(w, all)
}

func (c *Console) undoBlock(w http.ResponseWriter, r *http.Request) {
	var in struct{ Prefix, Why string }
	if !readBody(w, r, &in) {
		return
	}
	b := c.blocker.at.Load()
	if b == nil {
		fail(w, http.StatusNotFound, "nothing is blocked here")
		return
	}
	switch err := (*b).Undo(in.Prefix, in.Why); {
	case errors.Is(err, ErrNotBlocked):
		fail(w, http.StatusNotFound, err.Error())
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	default:
		c.events.tell()
		answer(w, map[string]string{"prefix": in.Prefix})
	}
}
