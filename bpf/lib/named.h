/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* named: a connection whose caller called a service at its socket, which has led it to the backend before there was a packet: it is
 * told of by the service's name, and nothing of it is translated. */
#ifndef WEFT_NAMED_H
#define WEFT_NAMED_H

#include "context.h"
#include "sockets.h"

/* Finds what was called by the socket of the packet, which it keeps on its way out of the pod (skb_scrub_packet leaves it since Linux
 * 4.19). Returns CT_NAMED, and c->service is what was called, or 0. */
GLOBAL named_service(struct __sk_buff *skb)
{
	struct context *c = context_here();
	struct socket_service *called;
	struct socket_key key = {};

	if (!c || !sockets.on || sockets.host_only)
		return 0;
	key.cookie = bpf_get_socket_cookie(skb);
	key.addr = c->packet.dst;
	key.port = c->packet.dst_port;
	called = key.cookie ? bpf_map_lookup_elem(&socket_services, &key) : NULL;
	if (!called)
		return 0;
	c->service = called->addr;
	c->service_port = called->port;
	return CT_NAMED;
}

#endif
