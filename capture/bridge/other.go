//go:build !linux

package bridge

import (
	"fmt"

	"github.com/dejpha/dejpha/capture"
)

// Open bridges two interfaces; here it always returns ErrKernel.
func Open(o Options) (capture.Inline, error) {
	return nil, fmt.Errorf("%w: it is made of parts of Linux", ErrKernel)
}

// Remove takes a bridge away; here there is none.
func Remove(left, right, folder string) error {
	return fmt.Errorf("%w: it is made of parts of Linux", ErrKernel)
}
