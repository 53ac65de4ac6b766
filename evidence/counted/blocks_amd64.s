//go:build !purego

#include "textflag.h"

// X1 to X11 hold the keys of the rounds, made anew on each call; X12 to X15 up to four blocks at once, for each round of
// a block waits for the one before it.

// EXPAND makes a round's key of the one before it.
#define EXPAND(CONSTANT, FROM, TO) \
	AESKEYGENASSIST $CONSTANT, FROM, X0 \
	PSHUFD $0xff, X0, X0 \
	MOVO  FROM, TO \
	MOVO  FROM, X12 \
	PSLLO $4, X12 \
	PXOR  X12, TO \
	PSLLO $4, X12 \
	PXOR  X12, TO \
	PSLLO $4, X12 \
	PXOR  X12, TO \
	PXOR  X0, TO

// COUNT makes the next block, with the first key in it.
#define COUNT(X) \
	MOVQ   R9, R10 \
	BSWAPQ R10 \
	INCQ   R9 \
	MOVQ   R8, X \
	PINSRQ $1, R10, X \
	PXOR   X1, X

#define FOUR(KEY) \
	AESENC KEY, X12 \
	AESENC KEY, X13 \
	AESENC KEY, X14 \
	AESENC KEY, X15

// func blocks(dst *byte, key *[16]byte, count int, first, n uint64)
TEXT ·blocks(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ key+8(FP), SI
	MOVQ count+16(FP), CX
	MOVQ first+24(FP), R8
	MOVQ n+32(FP), R9
	MOVOU 0(SI), X1
	EXPAND(0x01, X1, X2)
	EXPAND(0x02, X2, X3)
	EXPAND(0x04, X3, X4)
	EXPAND(0x08, X4, X5)
	EXPAND(0x10, X5, X6)
	EXPAND(0x20, X6, X7)
	EXPAND(0x40, X7, X8)
	EXPAND(0x80, X8, X9)
	EXPAND(0x1b, X9, X10)
	EXPAND(0x36, X10, X11)
	SUBQ $4, CX
	JLT  few

four:
	COUNT(X12)
	COUNT(X13)
	COUNT(X14)
	COUNT(X15)
	FOUR(X2)
	FOUR(X3)
	FOUR(X4)
	FOUR(X5)
	FOUR(X6)
	FOUR(X7)
	FOUR(X8)
	FOUR(X9)
	FOUR(X10)
	AESENCLAST X11, X12
	AESENCLAST X11, X13
	AESENCLAST X11, X14
	AESENCLAST X11, X15
	MOVOU X12, 0(DI)
	MOVOU X13, 16(DI)
	MOVOU X14, 32(DI)
	MOVOU X15, 48(DI)
	ADDQ $64, DI
	SUBQ $4, CX
	JGE  four

few:
	ADDQ $4, CX
	JZ   done

one:
	COUNT(X12)
	AESENC X2, X12
	AESENC X3, X12
	AESENC X4, X12
	AESENC X5, X12
	AESENC X6, X12
	AESENC X7, X12
	AESENC X8, X12
	AESENC X9, X12
	AESENC X10, X12
	AESENCLAST X11, X12
	MOVOU X12, 0(DI)
	ADDQ $16, DI
	DECQ CX
	JNZ  one

done:
	PXOR X0, X0
	PXOR X1, X1
	PXOR X2, X2
	PXOR X3, X3
	PXOR X4, X4
	PXOR X5, X5
	PXOR X6, X6
	PXOR X7, X7
	PXOR X8, X8
	PXOR X9, X9
	PXOR X10, X10
	PXOR X11, X11
	PXOR X12, X12
	PXOR X13, X13
	PXOR X14, X14
	PXOR X15, X15
	RET
