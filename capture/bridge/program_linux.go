package bridge

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Actions of the traffic classifier (linux/pkt_cls.h), and what a socket's filter returns for a whole frame.
const (
	actionDrop = 2
	wholeFrame = 0x40000
	keyOnStack = -4
)

// loadFate brings the pointer to this processor's fate into R0; without one (it cannot be missing) it goes to a label.
func loadFate(fate *ebpf.Map, missing string) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, keyOnStack, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, keyOnStack),
		asm.LoadMapPtr(asm.R1, fate.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, missing),
	}
}

// filterSpec is the filter of an interface's socket: it takes the frame while the heartbeat is young, and says so to the
// program that the frame meets next. The kernel shows a frame to sockets and then to the classifier, one after the other on
// one processor (net/core/dev.c, __netif_receive_skb_core), so that exactly one of the two deals with it.
func filterSpec(t *table, fate *ebpf.Map) *ebpf.ProgramSpec {
	code := asm.Instructions{
		asm.FnKtimeGetBootNs.Call(),
		asm.LoadMapValue(asm.R1, t.m.FD(), 0),
		asm.LoadMem(asm.R2, asm.R1, fieldBeat, asm.DWord),
		asm.JEq.Imm(asm.R2, 0, "old"),
		asm.LoadMem(asm.R3, asm.R1, fieldPatience, asm.DWord),
		asm.Sub.Reg(asm.R0, asm.R2), // below zero if another processor's clock is a little ahead: young
		asm.JSGT.Reg(asm.R0, asm.R3, "old"),
	}
	code = append(code, loadFate(fate, "old")...)
	return &ebpf.ProgramSpec{Name: "dejpha_take", Type: ebpf.SocketFilter, License: "MIT", Instructions: append(code,
		asm.StoreImm(asm.R0, 0, 1, asm.Word),
		asm.Mov.Imm(asm.R0, wholeFrame),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("old"),
		asm.Return(),
	)}
}

// carrySpec is the classifier's program of one side: what the filter took ends here, the rest goes to the peer or is dropped.
func carrySpec(t *table, fate *ebpf.Map, which, peer int) *ebpf.ProgramSpec {
	code := loadFate(fate, "past")
	code = append(code,
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word),
		asm.JEq.Imm(asm.R1, 0, "past"),
		asm.StoreImm(asm.R0, 0, 0, asm.Word),
		asm.LoadMapValue(asm.R1, t.m.FD(), uint32(side(which, sideTaken))),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, actionDrop),
		asm.Return(),

		asm.FnKtimeGetBootNs.Call().WithSymbol("past"),
		asm.LoadMapValue(asm.R6, t.m.FD(), uint32(side(which, 0))),
		asm.StoreMem(asm.R6, sideTo, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, sideFrom, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "count"),
		asm.StoreMem(asm.R6, sideFrom, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R2, 1).WithSymbol("count"),
		asm.LoadMem(asm.R1, asm.R6, sideBlock, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "stop"),
		asm.StoreXAdd(asm.R6, asm.R2, asm.DWord), // sidePassed, the first field
		asm.Mov.Imm(asm.R1, int32(peer)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),

		asm.Add.Imm(asm.R6, sideStopped).WithSymbol("stop"),
		asm.StoreXAdd(asm.R6, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, actionDrop),
		asm.Return(),
	)
	return &ebpf.ProgramSpec{Name: "dejpha_carry", Type: ebpf.SchedCLS, License: "MIT", Instructions: code}
}
