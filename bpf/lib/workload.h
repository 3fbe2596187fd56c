/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* workload: what a workload may send: from its own addresses only, to no multicast or loopback address, and nothing that looks like the tunnel. */
#ifndef WEFT_WORKLOAD_H
#define WEFT_WORKLOAD_H

#include "abi/nic.h"
#include "overlay.h"

static __always_inline int workload_check_source(const struct packet *p, const struct nic *n)
{
	const struct addr *own = p->v6 ? &n->ipv6 : &n->ipv4;

	return !addr_is_zero(own) && addr_equal(&p->src, own) ? 0 : DROP_INVALID_SOURCE_IP;
}

static __always_inline int workload_check_target(const struct packet *p, const struct ipcache *h)
{
	if (addr_is_multicast(&p->dst) || addr_is_loopback(&p->dst))
		return DROP_UNKNOWN_TARGET;
	return overlay_check_target(p, h);
}

#endif
