package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dejpha/dejpha/cosign"
)

// What of a refusal is kept with both heads.
const (
	// Fork is two heads of one size, both signed by the log: it has shown two histories, and this proves it.
	Fork = "fork"
	// Rollback is a head that the log signed, with fewer leaves than one that was cosigned, and itself never cosigned: an
	// older copy of the log at work, or another history. The two heads alone do not show which.
	Rollback = "rollback"
	// Unshown is a larger head without a proof that it continues the cosigned one. Whoever sent it may have sent a bad
	// proof: the log can still show that the two belong together.
	Unshown = "not shown to continue"
)

// refusedMax is how many such files are kept of a log: who holds old heads of it could send them all.
const refusedMax = 100

// Contradiction is two heads of one log that do not go together, as far as was shown.
type Contradiction struct {
	What    string `json:"what"` // Fork, Rollback or Unshown
	Origin  string `json:"origin"`
	At      int64  `json:"at"`      // s since 1970
	Held    string `json:"held"`    // the signed note that was cosigned: the last one, or that of the same size
	Offered string `json:"offered"` // the signed note that was refused
}

// refused keeps both heads in a file and says so once. What cannot be kept is said, too.
func (w *Witness) refused(l *log, what, held string, offered []byte) {
	c := Contradiction{What: what, Origin: l.state.Origin, At: w.opt.Now(), Held: held, Offered: string(offered)}
	id := sha256.Sum256([]byte(what + "\n" + headText(c.Offered)))
	path := filepath.Join(w.opt.Dir, "forks", place(c.Origin)+"-"+hex.EncodeToString(id[:8]))
	if _, err := os.Stat(path); err == nil || l.said[path] {
		return
	}
	if l.refused >= refusedMax && what != Fork || l.refused >= 2*refusedMax {
		if !l.said[""] {
			l.said[""] = true
			w.opt.Say(fmt.Sprintf("%s: more than %d contradicting heads; no more are kept", c.Origin, refusedMax))
		}
		return
	}
	l.said[path] = true
	l.refused++
	var text strings.Builder
	c.Print(&text)
	w.opt.Say(text.String())
	b, err := json.MarshalIndent(c, "", " ")
	if err == nil {
		err = w.disk.Replace(path, append(b, '\n'))
	}
	if err != nil {
		w.opt.Say(fmt.Sprintf("these heads could not be kept: %v", err))
	}
}

func headText(note string) string {
	text, _, _ := strings.Cut(note, "\n\n")
	return text + "\n"
}

// Print writes both heads for a person.
func (c *Contradiction) Print(w io.Writer) {
	say := map[string]string{
		Fork:     "this log has signed two histories; the two heads below prove it",
		Rollback: "this log has signed a smaller head than one that was cosigned: an older copy of it is at work, or another history",
		Unshown:  "this larger head was not shown to continue the one that was cosigned; the log may still show it",
	}[c.What]
	fmt.Fprintf(w, "%s, refused at %s: %s: %s\n", strings.ToUpper(c.What), stamp(c.At), c.Origin, say)
	fmt.Fprintf(w, "cosigned:\n%soffered:\n%s", indent(c.Held), indent(c.Offered))
}

func indent(note string) string {
	var b strings.Builder
	for line := range strings.Lines(note) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func stamp(s int64) string { return time.Unix(s, 0).UTC().Format("2006-01-02 15:04:05Z") }

// Shown is what a witness's folder holds.
type Shown struct {
	Keys   [2]string
	Heads  []Known
	Forks  []Contradiction
	Proven int // of them, those that prove a fork
}

// Known is the last head cosigned of a log.
type Known struct {
	Head cosign.Head
	At   int64 // s since 1970
}

// Read reads a witness's folder, also while it is at work. Files that cannot be read are errors.
func Read(dir string) (s Shown, err error) {
	w := &Witness{opt: Options{Dir: dir}}
	if _, err := os.Stat(filepath.Join(dir, "witness.key")); err != nil {
		return s, fmt.Errorf("%s is no witness's folder: %w", dir, err)
	}
	if err := w.loadKey(); err != nil {
		return s, err
	}
	s.Keys = w.Keys()
	err = each(filepath.Join(dir, "heads"), func(b []byte) error {
		var l log
		if err := json.Unmarshal(b, &l.state); err != nil {
			return err
		}
		h, err := l.head()
		s.Heads = append(s.Heads, Known{h, l.state.At})
		return err
	})
	if err != nil {
		return s, err
	}
	err = each(filepath.Join(dir, "forks"), func(b []byte) error {
		var c Contradiction
		if err := json.Unmarshal(b, &c); err != nil {
			return err
		}
		if s.Forks = append(s.Forks, c); c.What == Fork {
			s.Proven++
		}
		return nil
	})
	return s, err
}

// each reads the files of a folder in the order of their names.
func each(dir string, do func(b []byte) error) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading %s: %w", dir, err)
	}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".tmp") { // of a crash, or being written
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			err = do(b)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", filepath.Join(dir, e.Name()), err)
		}
	}
	return nil
}

// Print writes what the folder holds for a person.
func (s *Shown) Print(w io.Writer) {
	fmt.Fprintf(w, "key        %s\n", s.Keys[0])
	fmt.Fprintf(w, "key        %s (ML-DSA-44)\n", s.Keys[1])
	for _, k := range s.Heads {
		fmt.Fprintf(w, "cosigned   %s, %d leaves, root %s, at %s\n", k.Head.Origin, k.Head.Size, rootText(k.Head), stamp(k.At))
	}
	for i := range s.Forks {
		s.Forks[i].Print(w)
	}
	fmt.Fprintf(w, "%d logs; %d contradictions, %d of them proven forks\n", len(s.Heads), len(s.Forks), s.Proven)
}
