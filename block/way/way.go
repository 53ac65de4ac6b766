// Package way chooses how the kernel blocks: XDP in the driver, XDP generically, nftables, or not at all.
//
// In: interfaces and what was asked for. Out: a block.Enforcer, or none and why. Called by shield and by commands. It tries,
// for what a kernel, a driver and a process may do is only known by trying; each refusal is said once.
package way

import (
	"errors"
	"fmt"

	"github.com/dejpha/dejpha/block"
	"github.com/dejpha/dejpha/block/nft"
	"github.com/dejpha/dejpha/block/xdp"
)

// The ways that may be asked for.
const (
	Auto = "auto" // the best that is to be had, none if there is none
	XDP  = "xdp"
	NFT  = "nft"
	None = "none" // decisions are kept and shown, and nothing is blocked
)

// Options say where to block and how.
type Options struct {
	Interfaces []string // by name, in this network namespace
	Way        string   // one of the above; "": Auto
	Sizes      block.Sizes
	Pins       string            // of XDP: folder in a BPF file system; "": its usual one
	Table      string            // of nftables; "": dejpha
	Say        func(line string) // told once of each way that could not be taken; nil: nobody
}

func (o Options) say(line string) {
	if o.Say != nil {
		o.Say(line)
	}
}

// ErrNowhere says that there is no interface to block on: a queue of netfilter is none, and no default route names one.
var ErrNowhere = errors.New("no interface to block on; name those by which attackers come in under `interfaces` in the configuration")

// Valid says whether a way may be asked for; the error names those that may.
func Valid(way string) error {
	switch way {
	case "", Auto, XDP, NFT, None:
		return nil
	}
	return fmt.Errorf("unknown way of blocking %q; one of auto, xdp, nft, none", way)
}

// Open takes the best way there is. Where one was asked for by name and is not to be had, the error is of block.ErrKernel and
// names what is missing. With Auto and none to be had the Enforcer is nil, without an error, and what is missing was said.
// What another way left in force is taken off once the new one stands: the keeper's journal brings the blocks over.
func Open(o Options) (block.Enforcer, error) {
	if err := Valid(o.Way); err != nil {
		return nil, err
	}
	if o.Way == None {
		return nil, nil
	}
	if len(o.Interfaces) == 0 {
		return nil, ErrNowhere
	}
	var missing error
	if o.Way != NFT {
		e, err := xdp.Open(xdp.Options{Interfaces: o.Interfaces, Folder: o.Pins, Sizes: o.Sizes, Say: o.Say})
		if err == nil {
			o.leave(nft.Detach(nft.Options{Table: o.Table}))
			return e, nil
		}
		if o.Way == XDP || !errors.Is(err, block.ErrKernel) {
			return nil, err
		}
		o.say("blocks: no XDP: " + err.Error())
		missing = err
	}
	e, err := nft.Open(nft.Options{Interfaces: o.Interfaces, Table: o.Table, Sizes: o.Sizes, Say: o.Say})
	if err == nil {
		o.leave(xdp.Detach(xdp.Options{Folder: o.Pins}))
		return e, nil
	}
	if o.Way == NFT || !errors.Is(err, block.ErrKernel) {
		return nil, errors.Join(missing, err)
	}
	o.say("blocks: no nftables: " + err.Error())
	o.say("blocks: nothing is blocked here; attacks are shown only")
	return nil, nil
}

// leave says what could not be taken off of another way. It is no reason not to block.
func (o Options) leave(err error) {
	if err != nil && !errors.Is(err, block.ErrKernel) {
		o.say("blocks: what another way left: " + err.Error())
	}
}

// Detach takes every way off: nothing is blocked any more, and nothing of ours is left in the kernel.
func Detach(o Options) error {
	return errors.Join(xdp.Detach(xdp.Options{Folder: o.Pins}), nft.Detach(nft.Options{Table: o.Table}))
}
