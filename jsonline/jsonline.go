// Package jsonline appends JSON to a reused buffer: eve's lines and the protocols' records.
//
// A leaf: it imports nothing of ours, keeps no state and allocates nothing beyond the caller's buffer.
package jsonline
