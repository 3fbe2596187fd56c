/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* lb: what a service answers to a call: its frontend, one of its backends, or that it refuses. The question is addresses and
 * ports, with no packet and no context, so that programs at devices and at sockets ask the same one. What is done with the answer is
 * a step of its own: service.h. */
#ifndef WEFT_LB_H
#define WEFT_LB_H

#include "abi/lb.h"
#include "abi/outside.h"
#include "addr.h"
#include "ipcache.h"

/* The defaults, for what the agent does not say: Kubernetes' --service-node-port-range. */
volatile const struct lb_config services_here = {
	.node_port_min = 30000,
	.node_port_max = 32767,
};

/* The source of what goes on to another node, in one family; zero: nothing does. */
static __always_inline struct addr lb_node(int v6)
{
	return v6 ? config_addr(&services_here.node6) : config_addr(&services_here.node4);
}

/* Bits of enum led_what. Not inline, for the stacks of those that ask are full. */
static __noinline __u32 lb_led(void)
{
	__u32 zero = 0, *is = bpf_map_lookup_elem(&led, &zero);

	return is ? *(volatile __u32 *)is : 0;
}

static __noinline void lb_note(__u32 what)
{
	__u32 zero = 0, *is = bpf_map_lookup_elem(&led, &zero);

	if (is && (*(volatile __u32 *)is & what) != what)
		__sync_fetch_and_or(is, what);
}

/* Whether calls from outside are led on here, or were: what is open goes on. */
static __always_inline int lb_leads(void)
{
	return services_here.outside || (lb_led() & LED_ON);
}

/* A call, as its client makes it. */
struct lb_call {
	struct addr client; /* who keeps its backend at a service with affinity: a pod's address, or what stands for it */
	struct addr dst;
	__be16 port;
	__u8 protocol;
	__u8 scope; /* enum service_scope */
	__u32 net;
	__be16 client_port;
	__u16 pad;
};

static __always_inline int lb_is_node_port(const struct lb_call *call)
{
	__u16 port = bpf_ntohs(call->port);

	return port >= services_here.node_port_min && port <= services_here.node_port_max;
}

/* A row for all addresses of a family: a node port is offered at every address of every node, but for those that are portless. `key` is of the
 * call, and is changed: one on the stack is all that there is room for. */
static __always_inline struct service *lb_everywhere(struct service_key *key, int v4, __u8 scope)
{
	__builtin_memset(&key->addr, 0, sizeof(key->addr));
	if (v4)
		addr_from4(&key->addr, 0);
	key->scope = scope;
	return bpf_map_lookup_elem(&services, key);
}

static __always_inline struct service_key lb_key(const struct lb_call *call)
{
	return (struct service_key){ .addr = call->dst, .port = call->port, .protocol = call->protocol, .scope = call->scope, .net = call->net };
}

/* What is offered at an address of a node by its port alone; here: of this node; portless: it has no node ports. */
static __always_inline struct service *lb_node_port(const struct lb_call *call, struct service_key *key, int here, int portless)
{
	int v4 = addr_is4(&call->dst);
	struct service *s = lb_is_node_port(call) && !portless ? lb_everywhere(key, v4, call->scope) : NULL;

	if (s && !here && (s->flags & SERVICE_BY_NODE))
		return NULL;
	return s || !here || !services_here.host_ports ? s : lb_everywhere(key, v4, SCOPE_HERE);
}

/* The frontend that is called. NULL: no service. */
static __always_inline struct service *lb_frontend(const struct lb_call *call)
{
	struct service_key key = lb_key(call);
	struct service *s = bpf_map_lookup_elem(&services, &key);
	struct ipcache *h;

	if (s || !(lb_is_node_port(call) || services_here.host_ports))
		return s;
	h = ipcache_exact(&call->dst, call->net); /* an address of a node has a row of its own: no prefix is asked */
	return h && (h->flags & IPCACHE_NODE) ? lb_node_port(call, &key, ipcache_is_this_node(h), h->flags & IPCACHE_PORTLESS) : NULL;
}

/* Whether a call that no frontend is for is of a cluster address: that is nothing but the ports of its service, for all other
 * there is one row, without port and protocol. */
static __always_inline int lb_refuses(const struct lb_call *call)
{
	struct service_key key = { .addr = call->dst, .net = call->net };

	return bpf_map_lookup_elem(&services, &key) != NULL;
}

/* Whether the service takes calls of this client. */
static __always_inline int lb_admits(const struct lb_call *call, const struct service *s)
{
	struct source_key key = { .bits = SOURCE_BITS_FIXED + 128, .service = s->id, .addr = call->client };
	__u32 *may;

	if (!(s->flags & SERVICE_SOURCES))
		return 1;
	may = bpf_map_lookup_elem(&service_sources, &key);
	return may && *may;
}

/* Whether a call goes on as if this frontend were not there. */
static __always_inline int lb_passes(const struct lb_call *call, const struct service *s)
{
	return (s->flags & SERVICE_PASSES) && (!s->count || !lb_admits(call, s));
}

/* The backend that a client has at a service with affinity, while that takes new connections; 0: none. */
static __always_inline __u32 lb_affine(const struct lb_call *call, const struct service *s)
{
	struct affinity_key key = { .client = call->client, .service = s->id, .net = call->net };
	struct slot_key takes = { .service = s->id };
	struct affinity *a;
	__u64 now = bpf_ktime_get_ns();
	__u32 id;

	if (!(s->flags & SERVICE_AFFINITY))
		return 0;
	a = bpf_map_lookup_elem(&affinities, &key);
	if (!a || now - a->used > s->affinity_seconds * SECOND)
		return 0;
	id = a->backend;
	takes.slot = SLOT_TAKES | id;
	if (!bpf_map_lookup_elem(&slots, &takes))
		return 0;
	a->used = now;
	return id;
}

/* Two words of a call, with a key that the outside does not know: NH, RFC 4418 5.2. */
static __always_inline __u64 lb_pair(__u32 at, __u32 a, __u32 b)
{
	return (__u64)(a + services_here.call_key[at]) * (__u32)(b + services_here.call_key[at + 1]);
}

/* A hash of a call that is the same on every node; of the client's address alone, if the service keeps clients. As Hash of internal/maglev. */
static __always_inline __u32 lb_hash(const struct lb_call *call, const struct service *s)
{
	const __u32 *client = (const __u32 *)&call->client, *dst = (const __u32 *)&call->dst;
	__u64 h = lb_pair(0, client[0], client[1]) + lb_pair(2, client[2], client[3]);

	if (!(s->flags & SERVICE_AFFINITY)) {
		h += lb_pair(4, dst[0], dst[1]) + lb_pair(6, dst[2], dst[3]);
		h += lb_pair(8, (__u32)bpf_ntohs(call->client_port) << 16 | bpf_ntohs(call->port), call->protocol);
	}
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9;
	return h >> 32;
}

/* The backend that the service's table has for this call; 0: it has no table. */
static __always_inline __u32 lb_hashed(const struct lb_call *call, const struct service *s)
{
	struct maglev_key key = { .table = s->table };
	struct maglev_part *part;
	__u32 element, at;

	if (!s->table_size)
		return 0;
	element = lb_hash(call, s) % s->table_size;
	key.part = element / MAGLEV_ELEMENTS;
	at = element - key.part * MAGLEV_ELEMENTS;
	part = bpf_map_lookup_elem(&maglev, &key);
	asm volatile("" : "+r"(at)); /* else the compiler knows that it is small enough, and the verifier does not */
	return part && at < MAGLEV_ELEMENTS ? part->backend[at] : 0;
}

/* A backend by chance; 0: there is none. */
static __always_inline __u32 lb_random(const struct service *s)
{
	struct slot_key key = { .service = s->id };
	__u32 *at;

	if (!s->count)
		return 0;
	key.slot = bpf_get_prandom_u32() % s->count;
	at = bpf_map_lookup_elem(&slots, &key);
	return at ? *at : 0;
}

/* Any backend, or the one of the service's table, which a service with affinity keeps for the client; 0: there is none. */
static __always_inline __u32 lb_any(const struct lb_call *call, const struct service *s, __u32 hashed)
{
	__u32 id = hashed ? hashed : lb_random(s);

	if (!id)
		return 0;
	if (s->flags & SERVICE_AFFINITY) {
		struct affinity_key who = { .client = call->client, .service = s->id, .net = call->net };
		struct affinity a = { .backend = id, .used = bpf_ktime_get_ns() };

		bpf_map_update_elem(&affinities, &who, &a, BPF_ANY);
	}
	return id;
}

/* The backend of this id, while there is one; 0 is none's. */
static __always_inline struct backend *lb_backend(__u32 id)
{
	return id ? bpf_map_lookup_elem(&backends, &id) : NULL;
}

/* Whether a backend that is there has left the service: datagrams go elsewhere then, what is open of other protocols stays. Not inline, for
 * the stacks of those that ask are full. */
static __noinline int lb_has_left(const struct service *s, __u32 backend)
{
	struct slot_key key = { .service = s->id, .slot = SLOT_LEFT | backend };

	return (s->flags & SERVICE_LEFT) && bpf_map_lookup_elem(&slots, &key);
}

/* A backend for a new connection: the client's own where the service asks for it, else the one that lb_hashed gave, else any. NULL: there
 * is none. */
static __always_inline struct backend *lb_choose(const struct lb_call *call, const struct service *s, __u32 hashed)
{
	__u32 id = lb_affine(call, s);

	return lb_backend(id ? id : lb_any(call, s, hashed));
}

/* The same of a service that has no table for such calls. */
static __always_inline struct backend *lb_select(const struct lb_call *call, const struct service *s)
{
	return lb_choose(call, s, 0);
}

#endif
