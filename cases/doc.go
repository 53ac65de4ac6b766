// Package cases holds the shield's own rules to what they promise: for each a conversation that fires it, and a
// near miss that must not.
//
// In: *.case files, plain text, one a theme (docs/rules.md says how they are written), and the own rules. Out: test
// results. Called by go test. The runner turns every case into packets of one capture, each case between two
// addresses of its own, plays it through the shield once with the own rules alone and compares the alerts by
// address. It has no code outside tests and never reads a recorded capture.
package cases
