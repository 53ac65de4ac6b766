package evidence

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/dejpha/dejpha/evidence/leaves"
	"github.com/dejpha/dejpha/evidence/segment"
)

// ReasonMost is how long the reason of a correction may be, bytes.
const ReasonMost = 1000

// errReason says that a reason is none.
var errReason = fmt.Errorf("a reason is a line of text of 1 to %d bytes", ReasonMost)

// CheckReason says whether a text can stand in the log as the reason of a correction: others will print it.
func CheckReason(why string) error {
	if why == "" || len(why) > ReasonMost || !utf8.ValidString(why) || slices.ContainsFunc([]rune(why), unicode.IsControl) {
		return errReason
	}
	return nil
}

// WithdrawError says why an attack cannot be withdrawn.
type WithdrawError struct {
	Leaf int64
	What string
}

// Error names the leaf.
func (e *WithdrawError) Error() string { return fmt.Sprintf("leaf %d %s", e.Leaf, e.What) }

// Withdraw has attacks count no longer, by a correction for each with the reason, which is public. Their leaves and
// what was counted of them stay: a correction is counted beside. All of them or, where one cannot be withdrawn
// (WithdrawError), none. A checkpoint covers the corrections when it returns.
func (l *Log) Withdraw(list []int64, now int64, why string) error {
	if l.err != nil {
		return l.err
	}
	if l.unsettled() {
		return errPending
	}
	if err := CheckReason(why); err != nil {
		return err
	}
	if _, err := l.Flush(); err != nil {
		return err
	}
	cells := make([]int, len(list))
	for i, leaf := range list {
		var err error
		if cells[i], err = l.counted(leaf); err != nil {
			return err
		}
		if slices.Contains(list[:i], leaf) {
			return &WithdrawError{leaf, "is named twice"}
		}
	}
	if err := l.clock(leaves.Micro(now)); err != nil {
		return err
	}
	for i, leaf := range list {
		c := CorrectionLeaf{Attack: uint64(leaf), Cell: leaves.Cells, Reason: []byte(why)}
		l.counters[2*cells[i]+1]++
		l.corrected[leaf] = -1
		if err := l.append(c.Append(nil)); err != nil {
			return err
		}
	}
	_, err := l.Flush()
	return err
}

// WithdrawnBefore is what a WithdrawError says of an attack that was withdrawn before.
const WithdrawnBefore = "was withdrawn before"

// counted is the cell in which an attack's leaf counts now.
func (l *Log) counted(leaf int64) (int, error) {
	if cell, moved := l.corrected[leaf]; moved && cell < 0 {
		return 0, &WithdrawError{leaf, WithdrawnBefore}
	} else if moved {
		return cell, nil
	}
	x, err := SealedAttack(leaf, l.tree.size, l.leafAt)
	return x.Cell(), err
}

// SealedAttack is the attack of a leaf among so many, or a WithdrawError.
func SealedAttack(leaf, size int64, read func(int64) ([]byte, error)) (x AttackLeaf, err error) {
	if leaf < 0 || leaf >= size {
		return x, &WithdrawError{leaf, fmt.Sprintf("is not in the log, which has %d leaves", size)}
	}
	b, err := read(leaf)
	if err != nil {
		return x, err
	}
	if x, err = leaves.DecodeAttack(b); err != nil {
		return x, &WithdrawError{leaf, "is not an attack's: only attacks are counted, and only they can be withdrawn"}
	}
	return x, nil
}

// recorrected takes a correction of an earlier run into the counters, as resume walks over it.
func (l *Log) recorrected(i int64, b []byte) error {
	x, err := leaves.DecodeCorrection(b)
	if err != nil || x.Attack >= uint64(i) {
		return &CorruptError{fmt.Sprintf("leaf %d is malformed", i)}
	}
	cell, err := l.counted(int64(x.Attack))
	var no *WithdrawError
	if errors.As(err, &no) {
		return &CorruptError{"a correction names a leaf that counts no attack: " + no.Error()}
	} else if err != nil {
		return err
	}
	if l.counters[2*cell+1]++; x.Cell < leaves.Cells {
		l.counters[2*x.Cell]++
		l.corrected[int64(x.Attack)] = int(x.Cell)
		return nil
	}
	l.corrected[int64(x.Attack)] = -1
	return nil
}

// leafAt is the bytes of a leaf, also where the file offsets is too short and not yet mended.
func (l *Log) leafAt(leaf int64) (found []byte, err error) {
	if found, err = ReadLeaf(l.dir, leaf); err == nil {
		return found, nil
	}
	_, err = segment.Scan(filepath.Join(l.dir, "entries"), func(i int64, _ uint64, b []byte) error {
		if i < leaf {
			return nil
		}
		found = slices.Clone(b)
		return errEnough
	})
	if found == nil {
		return nil, err
	}
	return found, nil
}
