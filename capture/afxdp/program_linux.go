package afxdp

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/dejpha/dejpha/capture/cbpf"
)

const (
	xdpPass = 2
	onKey   = scratch - 8 // on the stack
	stamp   = 8           // bytes before a frame: when the kernel had it, ns on the monotonic clock
	offData = 0           // struct xdp_md
	offEnd  = 4           //
	offMeta = 8           //
	offQue  = 16          // rx_queue_index
)

// program hands a frame that matches the filter to the socket of its queue and its pair's worker, and counts it there; its
// stamp is written before it. What does not match, or comes from a queue that has no sockets, goes on into the machine.
func program(filter []cbpf.Instruction, spread []cbpf.Instruction, queues, workers int, sockets, counts *ebpf.Map) (*ebpf.ProgramSpec, error) {
	code := asm.Instructions{
		asm.Mov.Reg(context, asm.R1),
		asm.LoadMem(head, context, offData, asm.Word),
		asm.LoadMem(tail, context, offEnd, asm.Word),
	}
	if len(filter) > 0 {
		piece, err := translate("filter", "filtered", filter)
		if err != nil {
			return nil, &cbpf.FilterError{Filter: "of an interface", Why: err.Error()}
		}
		code = append(code, piece...)
		code = append(code, asm.JEq.Imm32(accumulator, 0, "pass").WithSymbol("filtered"))
	}
	if workers > 1 {
		piece, err := translate("spread", "worker", spread)
		if err != nil {
			return nil, err
		}
		code = append(code, piece...)
		code = append(code, asm.Mod.Imm32(accumulator, int32(workers)).WithSymbol("worker"))
	} else {
		code = append(code, asm.Mov.Imm(accumulator, 0))
	}
	code = append(code,
		asm.LoadMem(index, context, offQue, asm.Word),
		asm.JGE.Imm(index, int32(queues), "pass"),
		asm.Mul.Imm32(index, int32(workers)),
		asm.Add.Reg32(accumulator, index),
		asm.StoreMem(asm.R10, onKey, accumulator, asm.Word),
		asm.LoadMapPtr(asm.R1, counts.FD()),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, onKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.Add.Imm(asm.R1, 1), asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R1, context), asm.Mov.Imm(asm.R2, -stamp),
		asm.FnXdpAdjustMeta.Call(),
		asm.JNE.Imm(asm.R0, 0, "hand"), // no room before the frame: the reader's clock has to do
		asm.LoadMem(head, context, offMeta, asm.Word),
		asm.LoadMem(tail, context, offData, asm.Word),
		asm.Mov.Reg(asm.R1, head), asm.Add.Imm(asm.R1, stamp),
		asm.JGT.Reg(asm.R1, tail, "hand"),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(head, 0, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, sockets.FD()).WithSymbol("hand"),
		asm.LoadMem(asm.R2, asm.R10, onKey, asm.Word),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return(),
	)
	return &ebpf.ProgramSpec{Name: "dejpha_afxdp", Type: ebpf.XDP, License: "MIT", Instructions: code}, nil
}
