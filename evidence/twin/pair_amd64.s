//go:build !purego

#include "textflag.h"

// Both messages go the same way, four rounds of one and four of the other by turns: each SHA256RNDS2 waits for the one
// before it in its own message only. X0 is what that instruction takes without being told: four words of the schedule
// with their constants. First message: state X1 (A B E F) and X2 (C D G H), schedule X3 to X6; second: X7 and X8, X9 to
// X12. X13 is a word's bytes turned round, X14 room.

DATA turn<>+0(SB)/8, $0x0405060700010203
DATA turn<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL turn<>(SB), RODATA|NOPTR, $16

DATA k<>+0(SB)/8, $0x71374491428a2f98
DATA k<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA k<>+16(SB)/8, $0x59f111f13956c25b
DATA k<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA k<>+32(SB)/8, $0x12835b01d807aa98
DATA k<>+40(SB)/8, $0x550c7dc3243185be
DATA k<>+48(SB)/8, $0x80deb1fe72be5d74
DATA k<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA k<>+64(SB)/8, $0xefbe4786e49b69c1
DATA k<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA k<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA k<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA k<>+96(SB)/8, $0xa831c66d983e5152
DATA k<>+104(SB)/8, $0xbf597fc7b00327c8
DATA k<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA k<>+120(SB)/8, $0x1429296706ca6351
DATA k<>+128(SB)/8, $0x2e1b213827b70a85
DATA k<>+136(SB)/8, $0x53380d134d2c6dfc
DATA k<>+144(SB)/8, $0x766a0abb650a7354
DATA k<>+152(SB)/8, $0x92722c8581c2c92e
DATA k<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA k<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA k<>+176(SB)/8, $0xd6990624d192e819
DATA k<>+184(SB)/8, $0x106aa070f40e3585
DATA k<>+192(SB)/8, $0x1e376c0819a4c116
DATA k<>+200(SB)/8, $0x34b0bcb52748774c
DATA k<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA k<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA k<>+224(SB)/8, $0x78a5636f748f82ee
DATA k<>+232(SB)/8, $0x8cc7020884c87814
DATA k<>+240(SB)/8, $0xa4506ceb90befffa
DATA k<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL k<>(SB), RODATA|NOPTR, $256

// LOAD takes sixteen bytes of a message into the schedule.
#define LOAD(FROM, AT, M) \
	MOVOU AT(FROM), M \
	PSHUFB X13, M

// ROUNDS does four rounds with the schedule's words M.
#define ROUNDS(AT, M, AB, CD) \
	MOVOU k<>+AT(SB), X0 \
	PADDL M, X0 \
	SHA256RNDS2 X0, AB, CD \
	PSHUFD $0x0e, X0, X0 \
	SHA256RNDS2 X0, CD, AB

// NEXT makes four words of the schedule in OLD of the sixteen before them: OLD has had its SHA256MSG1 and its sum below.
// LATE are the last four, MID the four before.
#define NEXT(OLD, MID, LATE) \
	MOVOU LATE, X14 \
	PALIGNR $4, MID, X14 \
	PADDL X14, OLD \
	SHA256MSG2 LATE, OLD

// func pair(a, b *state, one, two *byte, n int)
TEXT ·pair(SB), NOSPLIT, $64-40
	MOVQ a+0(FP), AX
	MOVQ b+8(FP), BX
	MOVQ one+16(FP), SI
	MOVQ two+24(FP), DI
	MOVQ n+32(FP), CX
	MOVOU turn<>(SB), X13
	MOVOU 0(AX), X1
	MOVOU 16(AX), X2
	MOVOU 0(BX), X7
	MOVOU 16(BX), X8

loop:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)
	LOAD(SI, 0, X3)
	ROUNDS(0, X3, X1, X2)
	LOAD(DI, 0, X9)
	ROUNDS(0, X9, X7, X8)
	LOAD(SI, 16, X4)
	ROUNDS(16, X4, X1, X2)
	SHA256MSG1 X4, X3
	LOAD(DI, 16, X10)
	ROUNDS(16, X10, X7, X8)
	SHA256MSG1 X10, X9
	LOAD(SI, 32, X5)
	ROUNDS(32, X5, X1, X2)
	SHA256MSG1 X5, X4
	LOAD(DI, 32, X11)
	ROUNDS(32, X11, X7, X8)
	SHA256MSG1 X11, X10
	LOAD(SI, 48, X6)
	ROUNDS(48, X6, X1, X2)
	NEXT(X3, X5, X6)
	SHA256MSG1 X6, X5
	LOAD(DI, 48, X12)
	ROUNDS(48, X12, X7, X8)
	NEXT(X9, X11, X12)
	SHA256MSG1 X12, X11
	ROUNDS(64, X3, X1, X2)
	NEXT(X4, X6, X3)
	SHA256MSG1 X3, X6
	ROUNDS(64, X9, X7, X8)
	NEXT(X10, X12, X9)
	SHA256MSG1 X9, X12
	ROUNDS(80, X4, X1, X2)
	NEXT(X5, X3, X4)
	SHA256MSG1 X4, X3
	ROUNDS(80, X10, X7, X8)
	NEXT(X11, X9, X10)
	SHA256MSG1 X10, X9
	ROUNDS(96, X5, X1, X2)
	NEXT(X6, X4, X5)
	SHA256MSG1 X5, X4
	ROUNDS(96, X11, X7, X8)
	NEXT(X12, X10, X11)
	SHA256MSG1 X11, X10
	ROUNDS(112, X6, X1, X2)
	NEXT(X3, X5, X6)
	SHA256MSG1 X6, X5
	ROUNDS(112, X12, X7, X8)
	NEXT(X9, X11, X12)
	SHA256MSG1 X12, X11
	ROUNDS(128, X3, X1, X2)
	NEXT(X4, X6, X3)
	SHA256MSG1 X3, X6
	ROUNDS(128, X9, X7, X8)
	NEXT(X10, X12, X9)
	SHA256MSG1 X9, X12
	ROUNDS(144, X4, X1, X2)
	NEXT(X5, X3, X4)
	SHA256MSG1 X4, X3
	ROUNDS(144, X10, X7, X8)
	NEXT(X11, X9, X10)
	SHA256MSG1 X10, X9
	ROUNDS(160, X5, X1, X2)
	NEXT(X6, X4, X5)
	SHA256MSG1 X5, X4
	ROUNDS(160, X11, X7, X8)
	NEXT(X12, X10, X11)
	SHA256MSG1 X11, X10
	ROUNDS(176, X6, X1, X2)
	NEXT(X3, X5, X6)
	SHA256MSG1 X6, X5
	ROUNDS(176, X12, X7, X8)
	NEXT(X9, X11, X12)
	SHA256MSG1 X12, X11
	ROUNDS(192, X3, X1, X2)
	NEXT(X4, X6, X3)
	SHA256MSG1 X3, X6
	ROUNDS(192, X9, X7, X8)
	NEXT(X10, X12, X9)
	SHA256MSG1 X9, X12
	ROUNDS(208, X4, X1, X2)
	NEXT(X5, X3, X4)
	ROUNDS(208, X10, X7, X8)
	NEXT(X11, X9, X10)
	ROUNDS(224, X5, X1, X2)
	NEXT(X6, X4, X5)
	ROUNDS(224, X11, X7, X8)
	NEXT(X12, X10, X11)
	ROUNDS(240, X6, X1, X2)
	ROUNDS(240, X12, X7, X8)
	MOVOU 0(SP), X3
	MOVOU 16(SP), X4
	MOVOU 32(SP), X9
	MOVOU 48(SP), X10
	PADDL X3, X1
	PADDL X4, X2
	PADDL X9, X7
	PADDL X10, X8
	ADDQ  $64, SI
	ADDQ  $64, DI
	DECQ  CX
	JNZ   loop
	MOVOU X1, 0(AX)
	MOVOU X2, 16(AX)
	MOVOU X7, 0(BX)
	MOVOU X8, 16(BX)
	RET

// func extensions() bool
TEXT ·extensions(SB), NOSPLIT, $0-1
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT  none
	MOVL $7, AX
	XORL CX, CX
	CPUID
	SHRL $29, BX
	ANDL $1, BX
	MOVB BX, ret+0(FP)
	RET

none:
	MOVB $0, ret+0(FP)
	RET
