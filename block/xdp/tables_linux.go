package xdp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/dejpha/dejpha/block"
)

// tables are the maps by name, and the program that reads them.
type tables struct {
	maps map[string]*ebpf.Map
	prog *ebpf.Program
	id   string
}

// openTables takes over the maps pinned in folder, makes those that are missing and pins them. folder "": nothing is pinned.
// Maps that are there keep the sizes they were made with, unless another number of hosts is asked for: then all are made
// anew, with another ID, and the keeper fills them.
func openTables(folder string, s block.Sizes) (*tables, error) {
	t := &tables{maps: map[string]*ebpf.Map{}}
	if err := outgrown(folder, s); err != nil {
		return nil, err
	}
	for name, spec := range specs(s.Defaults()) {
		m, err := openMap(folder, name, spec)
		if err != nil {
			t.close()
			return nil, err
		}
		t.maps[name] = m
	}
	if err := t.identify(); err != nil {
		t.close()
		return nil, err
	}
	prog, err := t.load(program(nil))
	if err != nil {
		t.close()
		return nil, err
	}
	t.prog = prog
	return t, nil
}

// outgrown unpins all maps if those of hosts were made for another number than is asked for.
func outgrown(folder string, s block.Sizes) error {
	if folder == "" || s.Hosts == 0 {
		return nil
	}
	all := specs(s.Defaults())
	m, err := ebpf.LoadPinnedMap(filepath.Join(folder, mapHost4), nil)
	if err != nil {
		return nil // none, or openMap says why
	}
	defer m.Close()
	if m.MaxEntries() == all[mapHost4].MaxEntries {
		return nil
	}
	for name := range all {
		if err := os.Remove(filepath.Join(folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return refused(err, "removing a table of another size")
		}
	}
	return nil
}

func openMap(folder, name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	if folder == "" {
		m, err := ebpf.NewMap(spec)
		return m, refused(err, "BPF map "+spec.Type.String())
	}
	pin := filepath.Join(folder, name)
	m, err := ebpf.LoadPinnedMap(pin, nil)
	if err == nil {
		if m.Type() != spec.Type || m.KeySize() != spec.KeySize || m.ValueSize() != spec.ValueSize {
			_ = m.Close()
			return nil, fmt.Errorf("%s holds another kind of map than this version's; remove it by hand", pin)
		}
		return m, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, refused(err, "opening "+pin)
	}
	if m, err = ebpf.NewMap(spec); err != nil {
		return nil, refused(err, "BPF map "+spec.Type.String())
	}
	if err := m.Pin(pin); err != nil {
		_ = m.Close()
		return nil, refused(err, "pinning "+pin)
	}
	return m, nil
}

// identify reads the number by which these maps are known again, and gives new maps one. A crash before this leaves maps
// without one: what they hold is then nobody's memory, which Load and the keeper settle.
func (t *tables) identify() error {
	var m meta
	if err := t.maps[mapMeta].Lookup(uint32(0), &m); err != nil {
		return fmt.Errorf("reading the maps' number: %w", err)
	}
	if m == (meta{}) {
		_, _ = rand.Read(m.ID[:]) // it never fails
		if err := t.maps[mapMeta].Put(uint32(0), m); err != nil {
			return fmt.Errorf("writing the maps' number: %w", err)
		}
	}
	t.id = fmt.Sprintf("xdp-%x", m.ID)
	return nil
}

// load has the kernel check a program over these maps.
func (t *tables) load(ins asm.Instructions) (*ebpf.Program, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("%w: the XDP program is for little-endian machines", block.ErrKernel)
	}
	for name, m := range t.maps {
		if err := ins.AssociateMap(name, m); err != nil && !errors.Is(err, asm.ErrUnreferencedSymbol) {
			return nil, fmt.Errorf("program, map %s: %w", name, err)
		}
	}
	p, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{Name: "dejpha_block", Type: ebpf.XDP, Instructions: ins, Flags: unix.BPF_F_XDP_HAS_FRAGS},
		ebpf.ProgramOptions{LogSizeStart: 1 << 20})
	if v := (*ebpf.VerifierError)(nil); errors.As(err, &v) {
		return nil, fmt.Errorf("%w: the kernel refuses the XDP program: %v", block.ErrKernel, v)
	}
	return p, refused(err, "loading an XDP program")
}

func (t *tables) close() {
	for _, m := range t.maps {
		_ = m.Close()
	}
	if t.prog != nil {
		_ = t.prog.Close()
	}
}

// refused says which feature the kernel did not give; nil stays nil.
func refused(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %s needs CAP_BPF and CAP_NET_ADMIN (root): %v", block.ErrKernel, what, err)
	}
	return fmt.Errorf("%w: %s: %v", block.ErrKernel, what, err)
}
