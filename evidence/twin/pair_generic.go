//go:build !amd64 || purego

package twin

const able = false

// pair is never called where able is false.
func pair(_, _ *state, _, _ *byte, _ int) {}
