/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* abi/socket: which service a socket called, where the call was turned into one of a backend before there was a packet. */
#ifndef WEFT_ABI_SOCKET_H
#define WEFT_ABI_SOCKET_H

#include "addr.h"
#include "map.h"

/* What programs are told of services at sockets when they are loaded. */
struct socket_config {
	__u32 on; /* calls are led to backends there */
	__u32 host_only; /* calls of pods are left to from_pod */
	__u32 portless; /* a node offers itself no node ports at its loopback address: 1 of IPv4, 2 of IPv6 */
	__u32 hold_ports; /* no process of the node binds to a port at which a service is offered */
};

/* socket_services: what a socket that speaks with this backend called. */
struct socket_key {
	__u64 cookie; /* of the socket: bpf_get_socket_cookie() */
	struct addr addr; /* of the backend */
	__be16 port;
	__u8 pad[6];
};

/* socket_backends: the backend that a datagram socket has at this service, for each message that names its receiver. */
struct socket_call {
	__u64 cookie;
	struct addr addr; /* of the service */
	__be16 port;
	__u16 pad;
	__u32 service; /* id of the frontend: another that is offered there later begins anew */
};

struct socket_service {
	struct addr addr;
	__be16 port;
	__u8 protocol; /* of the service; 0: not known, an earlier version wrote it */
	__u8 pad[5];
};

MAP(BPF_MAP_TYPE_LRU_HASH, socket_services, struct socket_key, struct socket_service, 65536, 0);
MAP(BPF_MAP_TYPE_LRU_HASH, socket_backends, struct socket_call, __u32, 16384, 0);

#endif
