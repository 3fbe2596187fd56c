/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/dsr: what a node writes into a call that it leads to a backend on another node, so that the answer leaves there with the address
 * that was called. An IPv4 option (RFC 791 3.1) or an IPv6 destination option (RFC 8200 4.6) of an unassigned type, which who does not know
 * it skips; between nodes of one cluster alone. It is the first thing after the IP header. */
#ifndef WEFT_ABI_DSR_H
#define WEFT_ABI_DSR_H

#include "addr.h"

#define DSR4_TYPE 0x9a /* copied into fragments, class 0, number 26 */
#define DSR6_TYPE 0x1b /* skip if unknown, does not change on the way */

struct dsr4 {
	__u8 type;
	__u8 size; /* of all of it, in bytes */
	__be16 port;
	__be32 service; /* the address and port that the client called */
	__be32 node;	/* who says so: the node that sends it */
};

struct dsr6 {
	__u8 next; /* protocol of what follows */
	__u8 length; /* in units of 8 bytes, without the first */
	__u8 type;
	__u8 size; /* of what follows, in bytes */
	__be16 port;
	__u16 pad;
	__u8 service[16];
	__u8 node[16];
};

#endif
