package ftp

import (
	"errors"
	"strings"

	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/pool"
	"github.com/dejpha/dejpha/jsonline"
)

const bodyKept = 100 << 10 // Suricata's stream-depth-like default for bodies

var errCommand = errors.New("expected retr or stor")

// DataProtocol is the line of app's table for the flows that carry FTP's files; they come only announced.
func DataProtocol() contract.Protocol {
	return contract.Protocol{
		Name: "ftp-data", EventType: "ftp_data", Transport: contract.TCP,
		New: func(l contract.Limits) contract.Parser { return &dataParser{keep: max(l.BodyBytes[0], l.BodyBytes[1])} },
		Keywords: []contract.Keyword{
			{Name: "ftpdata_command", Kind: contract.KindCustom, Dirs: contract.OnBoth},
		},
		Compile: func(_ int, text string) (any, error) {
			text = strings.ToUpper(strings.TrimSpace(text))
			if text != "RETR" && text != "STOR" {
				return nil, errCommand
			}
			return text, nil
		},
		Steps:  [2][]string{{"request_started", "request_complete"}, {"response_started", "response_complete"}},
		Limits: contract.Limits{MaxTx: 1, BodyBytes: [2]int{bodyKept, bodyKept}},
	}
}

// dataTx is one transfer.
type dataTx struct {
	contract.TxState
	step          uint8
	command, name string
	file          contract.File
}

type dataParser struct {
	pool.List[dataTx, *dataTx]
	keep          int
	command, name string
	begun         bool
	dir           contract.Direction
}

// Announce takes the command that opened the flow.
func (p *dataParser) Announce(e *contract.Expect) {
	p.command, p.name, _ = strings.Cut(e.Command, " ")
}

// Feed takes all bytes of the direction that speaks first.
func (p *dataParser) Feed(in contract.Input) contract.Result {
	if !p.begun && len(in.Data) > 0 {
		t := p.Open()
		p.begun, p.dir = true, in.Dir
		t.command, t.name = p.command, p.name
		t.file = contract.File{Name: []byte(p.name), Dir: in.Dir}
		t.Files = append(t.Files, &t.file)
	}
	if t := p.Last(); t != nil && in.Dir == p.dir && t.step == 0 {
		if in.Gap > 0 {
			t.file.Gaps = true
		}
		t.file.Body.Append(in.Data, p.keep)
		if in.End {
			t.step, t.file.State, t.file.Body.Done = 1, contract.FileClosed, true
			if t.file.Gaps {
				t.file.State = contract.FileTruncated
			}
		}
	}
	return contract.Result{Consumed: len(in.Data)}
}

// Reset makes the parser as new.
func (p *dataParser) Reset() {
	list := p.List
	list.Reset()
	*p = dataParser{List: list, keep: p.keep}
}

// Reuse empties the transaction.
func (t *dataTx) Reuse() { *t = dataTx{TxState: t.TxState} }

// State is the engine's part of the transaction.
func (t *dataTx) State() *contract.TxState { return &t.TxState }

// Progress is the step that the transfer has reached; the silent direction follows.
func (t *dataTx) Progress(contract.Direction) uint8 { return t.step }

// Buffer has nothing of its own.
func (t *dataTx) Buffer(int, int) ([]byte, bool) { return nil, false }

// Number has nothing of its own.
func (t *dataTx) Number(int, int) (uint64, bool) { return 0, false }

// MatchCustom compares the command of the transfer.
func (t *dataTx) MatchCustom(_ int, arg any, _ contract.Direction) bool { return arg == t.command }

// AppendRecord appends the fields of eve's ftp_data record.
func (t *dataTx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"ftp_data":{`...)
	if t.name != "" {
		dst = jsonline.KeyString(dst, "filename", t.name)
	}
	if t.command != "" {
		dst = jsonline.KeyString(dst, "command", t.command)
	}
	return append(dst, '}')
}
