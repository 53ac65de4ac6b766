package cbpf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// FilterError says that a filter cannot be used, and what helps.
type FilterError struct{ Filter, Why string }

// Error implements error.
func (e *FilterError) Error() string { return fmt.Sprintf("filter %q: %s", e.Filter, e.Why) }

const (
	filterFile = "file:"          // begins the name of a compiled filter
	filterText = 1 << 20          // bytes of one that are read at most
	compileFor = 20 * time.Second // that tcpdump may take
)

// emptyCapture is a file without frames: libpcap's format in little-endian order, Ethernet, frames of up to SnapLen bytes.
var emptyCapture = []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}

// ReadFilter makes a filter for an interface out of what a person says: "file:NAME" is a file that holds what
// `tcpdump -ddd` printed, everything else an expression of pcap-filter(7), which tcpdump is asked to compile for that
// interface, because it knows the interface's link type and where the kernel keeps VLAN tags; name "" is for Ethernet frames as
// files hold them, with their tags inside. Filter "" is nil, everything. The error is a *FilterError.
func ReadFilter(name, filter string) ([]Instruction, error) {
	filter = strings.TrimSpace(filter)
	if filter == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(filter, filterFile); ok {
		if info, err := os.Stat(path); err == nil && info.Size() > filterText {
			return nil, &FilterError{filter, "the file is too large for a filter"}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, &FilterError{filter, err.Error()}
		}
		code, err := parseFilter(string(text))
		if err != nil {
			return nil, &FilterError{filter, err.Error()}
		}
		return code, nil
	}
	tool, err := exec.LookPath("tcpdump")
	if err != nil {
		return nil, &FilterError{filter, fmt.Sprintf("tcpdump, which compiles expressions, is not on this machine; install it, or run `tcpdump -ddd -i %s 'EXPRESSION' >FILE` where it is and give %sFILE", name, filterFile)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), compileFor)
	defer cancel()
	from := []string{"-i", name}
	if name == "" {
		from = []string{"-r", "-"}
	}
	cmd := exec.CommandContext(ctx, tool, append(append([]string{"-ddd", "-s", fmt.Sprint(SnapLen)}, from...), "--", filter)...)
	cmd.Stdin = bytes.NewReader(emptyCapture)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return nil, &FilterError{filter, lastLine(string(failed.Stderr))}
	}
	if err != nil {
		return nil, &FilterError{filter, err.Error()}
	}
	code, err := parseFilter(string(out))
	if err != nil {
		return nil, &FilterError{filter, err.Error()}
	}
	return code, nil
}

// lastLine is where tcpdump says what it does not understand.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "tcpdump: ")
}

// parseFilter reads the number of instructions and then one a line: operation, both jumps, operand, in decimal. The
// kernel checks what they do.
func parseFilter(text string) ([]Instruction, error) {
	lines := strings.Fields(strings.ReplaceAll(strings.TrimSpace(text), " ", ","))
	var n int
	if len(lines) == 0 {
		return nil, errors.New("empty; expected what `tcpdump -ddd` prints")
	}
	if _, err := fmt.Sscanf(lines[0], "%d", &n); err != nil || n < 1 || n > InstructionsMost || n != len(lines)-1 {
		return nil, fmt.Errorf("%d lines of instructions after %q: expected what `tcpdump -ddd` prints, their number first, 1 to %d", len(lines)-1, lines[0], InstructionsMost)
	}
	code := make([]Instruction, n)
	for i := range code {
		x := &code[i]
		if got, err := fmt.Sscanf(lines[i+1], "%d,%d,%d,%d", &x.Op, &x.Jt, &x.Jf, &x.K); err != nil || got != 4 {
			return nil, fmt.Errorf("line %d: %q is no instruction; expected four numbers", i+2, strings.ReplaceAll(lines[i+1], ",", " "))
		}
	}
	return code, nil
}
