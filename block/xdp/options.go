package xdp

import "github.com/dejpha/dejpha/block"

// Options say where and how to block.
type Options struct {
	Interfaces []string // by name, in this network namespace
	Folder     string   // of the pins, in a BPF file system; "": /sys/fs/bpf/dejpha/block-N, N naming the network namespace
	Sizes      block.Sizes
	Generic    bool              // the kernel's generic way, even where the driver has its own
	Say        func(line string) // told once of each way that could not be taken; nil: nobody
}

func (o Options) say(line string) {
	if o.Say != nil {
		o.Say(line)
	}
}
