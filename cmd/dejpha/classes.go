package main

import "github.com/dejpha/dejpha/attack"

type classesCmd struct{}

// Help shows an example.
func (classesCmd) Help() string { return "Example: dejpha classes" }

// Run prints the table of classes.
func (classesCmd) Run(w *world) error {
	attack.PrintTable(w.stdout)
	return nil
}
