/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/geneve: the overlay in which calls by DSR go to their backends, apart from the tunnel between pods: Geneve (RFC 8926), whose header says what was
 * called in an option. Class, type and shapes are Cilium's. */
#ifndef WEFT_ABI_GENEVE_H
#define WEFT_ABI_GENEVE_H

#include "addr.h"

#define GENEVE_CLASS 0x014b
#define GENEVE_TYPE 0x81 /* critical: who does not know it drops the packet */

/* What programs are told of it when they are loaded. */
struct geneve_config {
	__u32 on;      /* calls by DSR go this way, or by SNAT */
	__u32 ifindex; /* its device; 0: there is none */
	__u16 port;    /* UDP, host byte order */
	__u16 pad;
};

struct geneve4 {
	__be16 class;
	__u8 type;
	__u8 words; /* of what follows, 4 bytes each */
	__be32 service; /* the address and port that the client called */
	__be16 port;
	__u16 pad;
};

struct geneve6 {
	__be16 class;
	__u8 type;
	__u8 words;
	__u8 service[16];
	__be16 port;
	__u16 pad;
};

#endif
