package eve

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/flow"
	"github.com/dejpha/dejpha/jsonline"
)

// FileInfo is one finished file of a transaction.
type FileInfo struct {
	Flow   *flow.Flow
	At     int64
	Number uint64
	Tx     contract.Tx
	File   *contract.File
}

var fileStates = [...]string{contract.FileOpen: "UNKNOWN", contract.FileClosed: "CLOSED", contract.FileTruncated: "TRUNCATED", contract.FileError: "ERROR"}

// AppendFileInfo appends one fileinfo line with its newline.
func AppendFileInfo(dst []byte, o *Options, i *FileInfo) []byte {
	dst = beginFlow(dst, o, i.Flow, i.At, i.Number, flow.Direction(i.File.Dir), "fileinfo")
	dst = append(dst, `,"pkt_src":"wire/pcap"`...)
	dst = record(dst, i.Tx)
	dst = appProto(dst, o, i.Flow)
	dst = append(dst, `,"fileinfo":`...)
	dst = file(dst, i.File, i.Tx.State().ID)
	return append(dst, "}\n"...)
}

// files appends the list of a transaction's files, for alerts.
func files(dst []byte, tx contract.Tx) []byte {
	st := tx.State()
	if len(st.Files) == 0 {
		return dst
	}
	dst = append(dst, `,"files":[`...)
	for i, f := range st.Files {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = file(dst, f, st.ID)
	}
	return append(dst, ']')
}

func file(dst []byte, f *contract.File, tx uint64) []byte {
	dst = append(dst, `{"filename":`...)
	dst = jsonline.AppendString(dst, f.Name)
	dst = jsonline.KeyBool(dst, "gaps", f.Gaps)
	dst = append(dst, `,"state":"`...)
	dst = append(dst, fileStates[f.State]...)
	dst = append(dst, '"')
	dst = digest(dst, "md5", f.MD5)
	dst = digest(dst, "sha1", f.SHA1)
	dst = digest(dst, "sha256", f.SHA256)
	dst = jsonline.KeyBool(dst, "stored", f.Stored)
	dst = jsonline.KeyUint(dst, "size", f.Body.Total)
	dst = jsonline.KeyUint(dst, "tx_id", tx)
	if f.HasRange {
		dst = jsonline.KeyUint(dst, "start", f.Start)
		dst = jsonline.KeyUint(dst, "end", f.End)
	}
	return append(dst, '}')
}

func digest(dst []byte, name string, sum []byte) []byte {
	if len(sum) == 0 {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":"`...)
	for _, b := range sum {
		dst = hexByte(dst, b)
	}
	return append(dst, '"')
}
