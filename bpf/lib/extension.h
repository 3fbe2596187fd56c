/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* extension: what may stand between an IPv6 header and the transport's (RFC 8200 4). */
#ifndef WEFT_EXTENSION_H
#define WEFT_EXTENSION_H

#include "abi/event.h"
#include "packet.h"

#define EXTENSION_HEADERS 6 /* enough for each kind of RFC 8200 section 4.1 once */

static __always_inline int extension_is(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH;
}

/* Goes from the header of kind p->protocol at p->l4 to the first that is no extension header, or to where a later fragment
 * begins, which has p->offset then. Returns 0 or a drop reason. */
GLOBAL extension_walk(struct __sk_buff *skb, struct packet *p)
{
	int fragment = 0;

	if (!p)
		return DROP_INVALID;
#pragma unroll
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		__u8 e[8], kind = p->protocol;

		if (!extension_is(kind))
			return 0;
		/* A fragment of a fragment (RFC 8200 4.1) belongs to no datagram. */
		if (packet_load(skb, p, p->l4, e, sizeof(e)) || (kind == IPPROTO_FRAGMENT && fragment++))
			return DROP_INVALID_EXTHDR;
		p->protocol = e[0];
		if (kind == IPPROTO_FRAGMENT) {
			p->l4 += 8;
			p->data = p->l4;
			p->fragment_protocol = e[0];
			p->fragment = *(__u32 *)(e + 4);
			p->first_fragment = e[3] & 1; /* without another it is whole (RFC 6946) */
			p->offset = e[2] << 8 | (e[3] & 0xf8);
			if (p->offset)
				return 0;
		} else {
			p->l4 += kind == IPPROTO_AH ? (e[1] + 2) * 4 : (e[1] + 1) * 8;
		}
	}
	return extension_is(p->protocol) ? DROP_INVALID_EXTHDR : 0;
}

#endif
