/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* bind: a port at which a service is offered is none that a process of the node may have: calls of it would never come to that process. */
#ifndef WEFT_BIND_H
#define WEFT_BIND_H

#include "socket.h"

/* Whether a service is offered at this port of an address of the node; unspecified: of any. */
static __always_inline int bind_is_offered(const struct bpf_sock *ctx, const struct addr *at)
{
	struct lb_call call = { .dst = *at, .port = bpf_htons(ctx->src_port), .protocol = ctx->protocol, .net = NET_PODS }; /* of MPTCP that of TCP */
	struct service_key key = lb_key(&call);

	struct ipcache *h = ipcache_lookup(at, NET_PODS);
	int any = addr_is_zero(at) || (addr_is4(at) && !addr_4(at));
	int portless = addr_is_loopback(at) ? sockets.portless & (addr_is4(at) ? 1 : 2) : h && (h->flags & IPCACHE_PORTLESS);

	if (lb_is_node_port(&call) && (any || !portless) && lb_everywhere(&key, addr_is4(at), SCOPE_CLUSTER))
		return 1;
	key = lb_key(&call);
	return !any && bpf_map_lookup_elem(&services, &key); /* the row of a node port that is in no range is not asked for */
}

/* Whether a socket may have the address that it has got; 0: bind() fails with EPERM. At :: it speaks IPv4, too, if nothing else was said,
 * which is not seen here. */
static __always_inline int bind_may(struct bpf_sock *ctx, const struct addr *at)
{
	struct addr any4;

	if (!sockets.hold_ports || bpf_get_netns_cookie(ctx) != host_netns)
		return 1;
	addr_from4(&any4, 0);
	return !bind_is_offered(ctx, at) && !(addr_is_zero(at) && bind_is_offered(ctx, &any4));
}

#endif
