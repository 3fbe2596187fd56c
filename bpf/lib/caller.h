/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* caller: no address holds more than half of what may be open to one workload, so that others reach it too. Counted is only what
 * nothing can forge: open TCP connections, and all protocols of workloads, whose sources are checked where they send. */
#ifndef WEFT_CALLER_H
#define WEFT_CALLER_H

#include "addr.h"
#include "context.h"
#include "ipcache.h"

/* Index of the caller of this packet in `callers`, plus 1; 0: it is not counted. Nodes are not: they bound what their
 * workloads open, and many workloads speak with the address of one node. */
GLOBAL caller_of(const struct context *c, __u32 owner)
{
	if (!c)
		return 0;
	const struct packet *p = &c->packet;
	struct addr caller = p->src;
	struct ipcache *h;

	if (ipcache_place(c->source) == PLACE_NODE || (p->protocol != IPPROTO_TCP && c->source <= IDENTITY_RESERVED))
		return 0;
	h = ipcache_exact(&caller, c->net);
	if (h && (h->flags & IPCACHE_NODE))
		return 0;
	if (p->v6 && c->source <= IDENTITY_RESERVED)
		((__u64 *)&caller)[1] = 0; /* a site outside has 2^64 addresses in each of its networks (RFC 4291 2.5.4) */
	return (addr_mixed(&caller, owner ^ config.callers_seed) % CALLERS) + 1;
}

/* Counts one more, or only asks whether there could be. Returns whether it may be. */
static __always_inline int caller_take(__u32 caller, int ask)
{
	__u32 at = caller - 1, *held;

	if (!caller)
		return 1;
	held = bpf_map_lookup_elem(&callers, &at);
	if (!held || *(volatile __u32 *)held >= config.connections_limit / 2)
		return 0;
	if (!ask)
		__sync_fetch_and_add(held, 1);
	return 1;
}

static __always_inline void caller_give(__u32 caller)
{
	__u32 at = caller - 1, *held;

	if (!caller)
		return;
	held = bpf_map_lookup_elem(&callers, &at);
	if (held && *(volatile __u32 *)held)
		__sync_fetch_and_add(held, -1);
}

#endif
