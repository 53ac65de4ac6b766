package main

import "github.com/dejpha/dejpha/attack"

type classesCmd struct{}

// Run prints the table of classes.
func (classesCmd) Run(w *world) error {
	attack.PrintTable(w.stdout)
	return nil
}
