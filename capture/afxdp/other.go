//go:build !linux

package afxdp

import (
	"fmt"

	"github.com/dejpha/dejpha/capture"
)

// OpenGroup takes frames for n workers; here it always returns ErrKernel.
func OpenGroup(o Options, n int) ([]capture.Live, error) {
	return nil, fmt.Errorf("%w: it is a part of Linux; replay recorded captures instead", ErrKernel)
}
