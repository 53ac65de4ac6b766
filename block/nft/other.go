//go:build !linux

package nft

import (
	"fmt"

	"github.com/dejpha/dejpha/block"
)

// Open makes the table; here it always returns block.ErrKernel.
func Open(o Options) (block.Enforcer, error) {
	return nil, fmt.Errorf("%w: nftables is a part of Linux", block.ErrKernel)
}

// Detach removes the table; here there is none.
func Detach(o Options) error { return nil }
