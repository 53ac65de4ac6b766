//go:build !purego

#include "textflag.h"

// A block is 64 positions. Z0 to Z3 hold the text from the block's start on and one, two and three bytes further, so
// that byte i of the four is the gram at position i. Z16 to Z19 hold the matrices of the first hash, Z20 to Z23 those
// of the second; each is one instruction a byte of the gram, the sums are exclusive ors: Z4 and Z5 are the hashes.
// Z24 turns the low three bits of the second hash into a set bit: Z6, from which every probe takes away what its
// table does not have. A probe's table has 128 bytes, two registers' worth, looked up by seven bits in one
// instruction. What is left in Z6 is tested byte by byte into a word of 64 bits.
//
// Nothing behind the text is touched: K1 to K4 admit the bytes that are there, and a masked load does not fault on
// others. They are all ones until fewer than 67 bytes are left. K5 admits the positions that were asked for.

DATA bitOf<>+0(SB)/8, $0x8040201008040201
GLOBL bitOf<>(SB), RODATA|NOPTR, $8

// LESS leaves in R12 how many of the R11 bytes are left K further on, and in MASK a one for each of the first 64.
#define LESS(K, MASK) \
	MOVQ  R11, R12    \
	SUBQ  $K, R12     \
	CMOVQLT R13, R12  \
	CMPQ  R12, $64    \
	CMOVQGT R14, R12  \
	BZHIQ R12, R15, AX \
	KMOVQ AX, MASK

// func markVector(dst *uint64, text *byte, length, positions int, hash *[8]uint64, probes *probe, count int)
TEXT ·markVector(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ text+8(FP), SI
	MOVQ length+16(FP), R11
	MOVQ positions+24(FP), R10
	MOVQ hash+32(FP), BX
	MOVQ probes+40(FP), R8
	MOVQ count+48(FP), R9

	VPBROADCASTQ 0(BX), Z16
	VPBROADCASTQ 8(BX), Z17
	VPBROADCASTQ 16(BX), Z18
	VPBROADCASTQ 24(BX), Z19
	VPBROADCASTQ 32(BX), Z20
	VPBROADCASTQ 40(BX), Z21
	VPBROADCASTQ 48(BX), Z22
	VPBROADCASTQ 56(BX), Z23
	VPBROADCASTQ bitOf<>(SB), Z24
	XORQ R13, R13
	MOVQ $64, R14
	MOVQ $-1, R15
	KMOVQ R15, K1
	KMOVQ R15, K2
	KMOVQ R15, K3
	KMOVQ R15, K4
	KMOVQ R15, K5

block:
	CMPQ R10, $0
	JLE  done
	CMPQ R11, $67
	JGE  whole
	LESS(0, K1)
	LESS(1, K2)
	LESS(2, K3)
	LESS(3, K4)

whole:
	CMPQ R10, $64
	JGE  load
	BZHIQ R10, R15, AX
	KMOVQ AX, K5

load:
	VMOVDQU8.Z 0(SI), K1, Z0
	VMOVDQU8.Z 1(SI), K2, Z1
	VMOVDQU8.Z 2(SI), K3, Z2
	VMOVDQU8.Z 3(SI), K4, Z3
	VGF2P8AFFINEQB $0, Z16, Z0, Z4
	VGF2P8AFFINEQB $0, Z17, Z1, Z7
	VGF2P8AFFINEQB $0, Z18, Z2, Z8
	VGF2P8AFFINEQB $0, Z19, Z3, Z9
	VGF2P8AFFINEQB $0, Z20, Z0, Z5
	VGF2P8AFFINEQB $0, Z21, Z1, Z10
	VGF2P8AFFINEQB $0, Z22, Z2, Z11
	VGF2P8AFFINEQB $0, Z23, Z3, Z12
	VPTERNLOGQ $0x96, Z7, Z8, Z4
	VPXORQ Z9, Z4, Z4
	VPTERNLOGQ $0x96, Z10, Z11, Z5
	VPXORQ Z12, Z5, Z5
	VPERMB Z24, Z5, Z6
	MOVQ R8, DX
	MOVQ R9, CX

next:
	VGF2P8AFFINEQB.BCST $0, 0(DX), Z4, Z7
	VGF2P8AFFINEQB.BCST $0, 8(DX), Z5, Z8
	VMOVDQU64 16(DX), Z9
	VPXORQ Z8, Z7, Z7
	VPERMI2B 80(DX), Z9, Z7
	VPANDQ Z7, Z6, Z6
	ADDQ $144, DX
	DECQ CX
	JNZ  next

	VPTESTMB Z6, Z6, K5, K6
	KMOVQ K6, (DI)
	ADDQ $8, DI
	ADDQ $64, SI
	SUBQ $64, R11
	SUBQ $64, R10
	JMP  block

done:
	VZEROUPPER
	RET
