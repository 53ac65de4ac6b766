package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// steady sends at a rate until it is told to end, and prints how much it sent.
func (b *bench) steady(rate float64) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	piece := max(uint64(rate/20), 1) // a twentieth of a second
	for {
		select {
		case <-ended:
			fmt.Println(b.out.sent)
			return nil
		default:
		}
		if err := b.send(piece, rate); err != nil {
			return err
		}
	}
}
