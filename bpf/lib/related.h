/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* related: ICMP errors of workloads and to them. They cross every policy, so an error must be about a packet that its
 * receiver has sent, and come from that packet's receiver or from a machine on the way.
 */
#ifndef WEFT_RELATED_H
#define WEFT_RELATED_H

#include "ct.h"
#include "policy.h"
#include "quoted.h"
#include "rewrite.h"

/* An error, a redirect or a source quench. The latter two are for routers to say and for hosts no longer to heed (RFC 1812
 * 5.2.7.2, RFC 6633). */
static __always_inline int icmp_is_special(const struct packet *p)
{
	return p->icmp_error || (!p->v6 && p->protocol == IPPROTO_ICMP && (p->icmp_type == ICMP_REDIRECT || p->icmp_type == ICMP_SOURCE_QUENCH));
}

/* How long an error may be in all: what it quotes of a packet is cut to that (RFC 1812 4.3.2.3, RFC 4443 2.4). */
#define ERROR_SIZE4 576
#define ERROR_SIZE6 1280

/* Whether the error may pass. Returns 0 or a drop reason; c->event_flags gets EVENT_TO_STACK if its connection passes the host's stack:
 * then the error has to go there, and to_pod sees it again. On its way to a client that called a service, or that has another source
 * port towards the backend, the quoted packet becomes the one that the client sent, and c->service is what it called; EVENT_SERVICE: it is
 * the backend that complains. */
GLOBAL related(struct __sk_buff *skb, int to_client)
{
	struct context *c = context_here();
	struct flow f = {};
	struct packet *p, *q;

	if (!c)
		return DROP_INVALID;
	p = &c->packet;
	q = &c->quoted;
	if (!p->icmp_error)
		return DROP_UNKNOWN_ICMP4_TYPE;
	__builtin_memset(q, 0, sizeof(*q));
	if (skb->len > ETH_HEADER + (p->v6 ? ERROR_SIZE6 : ERROR_SIZE4) || parse_quoted(skb, p, q))
		return DROP_CT_INVALID_HEADER;
	if (!addr_equal(&p->dst, &q->src) ||
	    (!addr_equal(&p->src, &q->dst) && ipcache_is_workload(ipcache_exact(&p->src, c->net))))
		return DROP_ICMP_UNRELATED;
	ct_find(c, q, &f);
	if (!f.entry || policy_denies(f.entry->egress.verdict_revision & 0xff) || policy_denies(f.entry->ingress.verdict_revision & 0xff))
		return DROP_ICMP_UNRELATED;
	if ((f.entry->flags & CT_STACK) && c->hook != HOOK_TO_POD) {
		c->event_flags |= EVENT_TO_STACK;
		return 0;
	}
	if (!to_client || f.reply)
		return 0;
	if (f.entry->flags & CT_SERVICE) {
		c->event_flags |= addr_equal(&p->src, &q->dst) ? EVENT_SERVICE : 0;
		c->service = f.entry->service;
		rewrite_quoted(skb, p, q, SIDE_DESTINATION, &f.entry->service, f.entry->service_port);
	}
	if (f.entry->client_port)
		rewrite_quoted(skb, p, q, SIDE_SOURCE, &q->src, f.entry->client_port);
	return 0;
}

#endif
