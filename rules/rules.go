// Package rules holds the shield's own rules as text, embedded in the program.
//
// In: nothing. Out: the rule files by name. Called by shield when no rule file is given.
package rules

import "embed"

// Files are the own rules (*.rules) and the classes and references they use (*.config).
//
//go:embed *.rules *.config
var Files embed.FS
