// Package captest offers recorded traffic as seeds: the project's samples, and the captures beside the project where
// they are there.
//
// In: nothing. Out: names of capture files, and their frames. Called by tests only; it is no part of the program.
package captest

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/dejpha/dejpha/capture"
	"github.com/dejpha/dejpha/capture/file"
)

// plainEvery is how many captures are passed over for each one read in an ordinary test run, which is to be quick.
const plainEvery = 40

// Fuzzing says whether this process was started to fuzz, so that seeds may cost a few seconds; DEJPHA_SEEDS=all makes an
// ordinary run take all seeds, too.
func Fuzzing() bool { return given("test.fuzz") || os.Getenv("DEJPHA_SEEDS") == "all" }

func given(name string) bool {
	f := flag.Lookup(name)
	return f != nil && f.Value.String() != "" && f.Value.String() != "false"
}

// Top is the project's folder, found from the folder that a test runs in.
func Top() string {
	dir := "."
	for range 8 {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Join("..", dir)
	}
	return "."
}

// Files lists captures: all samples, and every n-th of those beside the project.
func Files(every int) []string {
	top := Top()
	names, _ := filepath.Glob(filepath.Join(top, "samples/*.pcap"))
	var more []string
	for _, below := range []string{"corpora", "verify/open"} {
		_ = filepath.WalkDir(filepath.Join(top, "../shared", below), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasPrefix(filepath.Ext(path), ".pcap") {
				more = append(more, path)
			}
			return nil
		})
	}
	sort.Strings(more)
	for i := 0; i < len(more); i += max(every, 1) {
		names = append(names, more[i])
	}
	return names
}

// Frames calls each for every frame of the captures, or of a few of them unless Fuzzing; first says that a new capture
// begins. The frame is valid during the call; each returns false to go on with the next capture, and false for the first
// frame of one to end it all. A process that only works for a fuzzer gets its seeds from that one, and none here.
func Frames(each func(first bool, f *capture.Frame) bool) {
	if given("test.fuzzworker") {
		return
	}
	every := plainEvery
	if Fuzzing() {
		every = 1
	}
	for _, name := range Files(every) {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		r, err := file.New(name, bytes.NewReader(text))
		if err != nil {
			continue
		}
		var f capture.Frame
		for first := true; r.Next(&f) == nil; first = false {
			if more := each(first, &f); !more && first {
				return
			} else if !more {
				break
			}
		}
	}
}
