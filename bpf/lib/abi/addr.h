/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/addr: 16 bytes for both families, IPv4 mapped (RFC 4291 2.5.5.2), network byte order. Ports that are named *_port
 * in a key are, too; everything else is host byte order. Enums are append-only, zero is none. */
#ifndef WEFT_ABI_ADDR_H
#define WEFT_ABI_ADDR_H

#include <linux/types.h>

struct addr {
	__u8 b[16];
} __attribute__((aligned(8)));

/* What addr_mixed multiplies the words of an address by, and what the sum. */
#define ADDR_MIX_0 0x9e3779b1u
#define ADDR_MIX_1 0x85ebca77u
#define ADDR_MIX_2 0xc2b2ae3du
#define ADDR_MIX_3 0x27d4eb2fu
#define ADDR_MIX_ALL 0x2c1b3c6du

#endif
