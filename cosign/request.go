package cosign

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// RequestMax bounds a request to add a checkpoint, bytes.
	RequestMax = 128 << 10
	// AnswerMax bounds a witness's answer to it, bytes.
	AnswerMax = 64 << 10
	proofMax  = 63 // hashes
)

// Request asks a witness to cosign a checkpoint: the size it cosigned before, the proof that this head continues that
// one, and the signed note.
type Request struct {
	Old        int64
	Proof      tlog.TreeProof
	Checkpoint []byte
}

// ParseRequest reads a request in its one form.
func ParseRequest(b []byte) (r Request, err error) {
	if len(b) > RequestMax {
		return r, fmt.Errorf("a request is at most %d bytes", RequestMax)
	}
	head, note, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return r, errors.New("a request is an old size, a proof, an empty line and a checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return r, errors.New("a request begins with the line: old SIZE")
	}
	if r.Old, err = parseSize(size); err != nil {
		return r, errors.New("the old size is a decimal number without leading zeros")
	}
	if len(lines)-1 > proofMax {
		return r, fmt.Errorf("a proof has at most %d hashes", proofMax)
	}
	for _, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return r, errors.New("a line of the proof is 32 bytes in base64")
		}
		r.Proof = append(r.Proof, h)
	}
	r.Checkpoint = note
	return r, nil
}

// Append writes the request.
func (r *Request) Append(b []byte) []byte {
	b = fmt.Appendf(b, "old %d\n", r.Old)
	for _, h := range r.Proof {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return append(append(b, '\n'), r.Checkpoint...)
}

// Continues says whether the proof shows that a head continues an older one of the same log. An empty log is continued by
// every head, without a proof.
func Continues(proof tlog.TreeProof, old, head Head) bool {
	if old.Size == 0 || head.Size == 0 {
		return len(proof) == 0 && old.Size <= head.Size && (head.Size > 0 || head.Root == emptyRoot())
	}
	return old.Size <= head.Size && tlog.CheckTree(proof, head.Size, head.Root, old.Size, old.Root) == nil
}

func emptyRoot() tlog.Hash {
	h, _ := tlog.TreeHash(0, nil)
	return h
}
