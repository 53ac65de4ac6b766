//go:build !linux

package nfqueue

import (
	"fmt"

	"github.com/dejpha/dejpha/capture"
)

// Open takes up a queue; here it always returns ErrKernel.
func Open(o Options) (capture.Inline, error) {
	return nil, fmt.Errorf("%w: it is a part of Linux", ErrKernel)
}
