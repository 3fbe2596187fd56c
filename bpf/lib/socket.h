/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* socket: a call of a service becomes a call of one of its backends at the socket, so that no packet needs translation. A program at a
 * socket is interrupted by those at devices and by others at sockets, so it keeps all on its stack and never takes the context. */
#ifndef WEFT_SOCKET_H
#define WEFT_SOCKET_H

#include <linux/in.h>
#include "lb.h"
#include "nic.h"
#include "sockets.h"

#define ECONNREFUSED 111

volatile const __u64 host_netns = 0; /* cookie of the node's own network namespace */

/* Whether the calling process is of the node's own network namespace, not of a pod's. */
static __always_inline int socket_is_host(struct bpf_sock_addr *ctx)
{
	return bpf_get_netns_cookie(ctx) == host_netns;
}

/* The protocol of the service that is looked up; 0: none is translated at sockets. */
static __always_inline __u8 socket_protocol(const struct bpf_sock_addr *ctx)
{
	switch (ctx->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
		return IPPROTO_TCP;
	case IPPROTO_UDP:
		return IPPROTO_UDP;
	default:
		return 0;
	}
}

/* The client, for affinity: all processes of a network namespace are one, as a pod is. */
static __always_inline void socket_client(struct bpf_sock_addr *ctx, struct addr *client)
{
	__u64 *w = (__u64 *)client;

	w[0] = 0;
	w[1] = bpf_get_netns_cookie(ctx);
}

/* The frontend that is called. A node offers its node ports to itself at the loopback address, too, and there alone the hostPorts that
 * name a loopback address. An object of any namespace may name the address of a workload, and has none of its calls, as in from_pod. */
static __always_inline struct service *socket_frontend(struct bpf_sock_addr *ctx, const struct lb_call *call)
{
	struct service_key key = lb_key(call);
	struct service *s;

	if (!addr_is_loopback(&call->dst)) {
		s = lb_frontend(call);
		return s && ipcache_is_workload(ipcache_exact(&call->dst, call->net)) ? NULL : s;
	}
	if (!socket_is_host(ctx))
		return NULL;
	key.scope = SCOPE_HERE;
	s = bpf_map_lookup_elem(&services, &key);
	return s ? s : lb_node_port(call, &key, 1, sockets.portless & (addr_is4(&call->dst) ? 1 : 2));
}

/* Whether a call goes on as it is: no backend takes calls of this frontend, or some pods may not call it, and from_pod knows which. */
static __always_inline int socket_passes(struct bpf_sock_addr *ctx, const struct service *s)
{
	return (s->flags & SERVICE_PASSES) && (!s->count || ((s->flags & SERVICE_SOURCES) && !socket_is_host(ctx)));
}

/* The backend for a message of a datagram socket: the one that this socket had there before, or a new one that it keeps. */
static __always_inline struct backend *socket_kept(__u64 cookie, const struct lb_call *call, const struct service *s)
{
	struct socket_call key = { .cookie = cookie, .addr = call->dst, .port = call->port, .service = s->id };
	__u32 *known = bpf_map_lookup_elem(&socket_backends, &key);
	struct backend *b = known ? lb_backend(*known) : NULL;

	if (b && !lb_has_left(s, *known))
		return b;
	b = lb_select(call, s);
	if (b)
		bpf_map_update_elem(&socket_backends, &key, &b->id, BPF_ANY);
	return b;
}

/* Remembers which service a socket called that speaks with this backend. */
static __always_inline void socket_note(__u64 cookie, const struct backend *b, const struct lb_call *call)
{
	struct socket_key key = { .cookie = cookie, .addr = b->addr, .port = b->port };
	struct socket_service called = { .addr = call->dst, .port = call->port, .protocol = call->protocol };

	bpf_map_update_elem(&socket_services, &key, &called, BPF_ANY);
}

/* Makes addr:port, if that is a service, one of its backends. Returns 1 if it did, 0 if it is no service, and -1 if the service has no
 * backend. `message`: a datagram of an unconnected socket, all of which go to one backend. */
static __always_inline int socket_translate(struct bpf_sock_addr *ctx, struct addr *addr, __be16 *port, int message)
{
	struct lb_call call = { .dst = *addr, .port = *port, .protocol = socket_protocol(ctx), .net = NET_PODS };
	struct service *s;
	struct backend *b;
	__u64 cookie;

	if (!call.protocol || (sockets.host_only && !socket_is_host(ctx)))
		return 0;
	s = socket_frontend(ctx, &call);
	if (!s || socket_passes(ctx, s))
		return 0;
	cookie = bpf_get_socket_cookie(ctx); /* not before: of most calls that are none of services it would be the first use */
	if (s->flags & SERVICE_AFFINITY)
		socket_client(ctx, &call.client);
	b = message ? socket_kept(cookie, &call, s) : lb_select(&call, s);
	if (!b)
		return -1;
	socket_note(cookie, b, &call);
	*addr = b->addr;
	*port = b->port;
	return 1;
}

/* Makes addr:port, if that is a backend that this socket has called by a service, the service that it called. Returns whether it did. */
static __always_inline int socket_restore(struct bpf_sock_addr *ctx, struct addr *addr, __be16 *port)
{
	struct socket_key key = { .cookie = bpf_get_socket_cookie(ctx), .addr = *addr, .port = *port };
	struct socket_service *called;

	if (!socket_protocol(ctx))
		return 0;
	called = bpf_map_lookup_elem(&socket_services, &key);
	if (!called)
		return 0;
	*addr = called->addr;
	*port = called->port;
	return 1;
}

#endif
