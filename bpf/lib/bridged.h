/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* bridged: a NIC whose other side is a port of a bridge of the node. The device says which NIC has sent a frame, and nothing that a workload does
 * in its namespace changes that. To the receiver's port the bridge tells nothing of it: the sender's port writes a number into skb->hash that
 * the agent alone knows, and that is another in each network.
 */
#ifndef WEFT_BRIDGED_H
#define WEFT_BRIDGED_H

#include "uplink.h"

/* The row of a port; NULL: it is not watched. */
static __always_inline struct station *bridged_port(__u32 ifindex)
{
	struct station *s = station_uplink(ifindex);

	return s && (s->flags & STATION_PORT) ? s : NULL;
}

static __always_inline __u32 bridged_sign(const struct station *port, const struct nic *n)
{
	return port->sign ^ n->net;
}

/* Begins with a frame at the port of a NIC. Returns the NIC; NULL: the agent has not told of it yet, or it is gone. */
static __always_inline struct nic *bridged_begin(struct context *c, const struct station *port)
{
	struct nic *n = nic_at(port->nic);

	c->audited = station_audits(port);
	if (!n)
		return NULL;
	c->net = n->net;
	c->incarnation = n->incarnation;
	c->packet.owner = n->incarnation;
	return n;
}

/* Whether the next hook to see a packet of this NIC is the port of another one, which counts it. */
static __always_inline int bridged_again(const struct context *c)
{
	return ipcache_is_local_pod(ipcache_exact(&c->packet.dst, c->net)) ? FLOW_AGAIN : 0;
}

#endif
