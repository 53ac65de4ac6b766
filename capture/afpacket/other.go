//go:build !linux

package afpacket

import (
	"fmt"

	"github.com/dejpha/dejpha/capture"
)

type skipper struct{}

// Open watches interfaces; here it always returns ErrKernel.
func Open(o Options) (capture.Live, error) {
	return nil, fmt.Errorf("%w: AF_PACKET rings are a part of Linux; replay recorded captures instead", ErrKernel)
}

// OpenGroup watches interfaces for n workers; here it always returns ErrKernel.
func OpenGroup(o Options, n int) ([]capture.Live, error) {
	_, err := Open(o)
	return nil, err
}
