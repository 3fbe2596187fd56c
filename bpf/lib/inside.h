/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* inside: programs that run in a workload's namespace, each loaded for one NIC. An ifindex would not say which: the workload may move
 * its device into another namespace, with an index of its choice. */
#ifndef WEFT_INSIDE_H
#define WEFT_INSIDE_H

#include "abi/station.h"
#include "context.h"
#include "nic.h"
#include "station.h"

volatile const struct nic_config inside = {};

/* Begins with a frame at this NIC, in a context of its own. Returns the NIC; NULL: the agent has not told of it yet, or it is gone. */
static __always_inline struct nic *inside_begin(struct context *c)
{
	struct nic *n = nic_at(inside.nic);

	if (!n)
		return NULL;
	c->net = n->net;
	c->packet.owner = n->incarnation;
	c->incarnation = n->incarnation;
	c->audited = station_audits(station_of(inside.uplink, n->mac));
	return n;
}

#endif
