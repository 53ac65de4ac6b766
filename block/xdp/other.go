//go:build !linux

package xdp

import (
	"fmt"

	"github.com/dejpha/dejpha/block"
)

// Open attaches the program; here it always returns block.ErrKernel.
func Open(o Options) (block.Enforcer, error) {
	return nil, fmt.Errorf("%w: XDP is a part of Linux", block.ErrKernel)
}

// Detach takes the program off; here there is none.
func Detach(o Options) error { return nil }
