/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* identity: who sent what leaves the host's stack. */
#ifndef WEFT_IDENTITY_H
#define WEFT_IDENTITY_H

#include "context.h"
#include "ipcache.h"
#include "mark.h"
#include "packet.h"

#define LOOPBACK_IFINDEX 1 /* include/net/flow.h of the kernel */

/* The identity of the sender of a packet that leaves the host's stack: what the mark says, else `host` for a socket of this node, also
 * by way of the loopback device, else that of the source address; but an address alone never makes a sender `host`. */
static __always_inline __u32 identity_from_stack(struct __sk_buff *skb, const struct context *c)
{
	const struct packet *p = &c->packet;
	__u32 mark = mark_read(skb), identity;

	if ((mark & MARK_KIND_MASK) == MARK_IDENTITY)
		return mark_identity(mark);
	if (!skb->ingress_ifindex || skb->ingress_ifindex == LOOPBACK_IFINDEX)
		return IDENTITY_HOST;
	identity = ipcache_identity(ipcache_lookup(&p->src, c->net), p->v6);
	if (identity == IDENTITY_HOST)
		return ipcache_identity(NULL, p->v6);
	return identity;
}

#endif
