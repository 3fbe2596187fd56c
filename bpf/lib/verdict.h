/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* verdict: what the policy of the NIC at one end of a connection says of it. */
#ifndef WEFT_VERDICT_H
#define WEFT_VERDICT_H

#include "abi/nic.h"
#include "ct.h"
#include "policy.h"

/* Identity of the end that answers. If the answer has a node's address the peer is that node, which was called, whatever the node's
 * netfilter has translated. */
static __always_inline __u32 verdict_answerer(const struct context *c)
{
	return ipcache_place(c->sender) == PLACE_NODE ? c->sender : c->source;
}

/* What a node leads on for a machine outside has the node's address: who the caller is, the packet says, but not where. It is of no range
 * but that of all addresses. */
static __always_inline void verdict_hide(struct question *q, __u32 at)
{
	if (ipcache_place(q->peer) != PLACE_OUTSIDE || ipcache_place(at) != PLACE_NODE)
		return;
	if (addr_is4(&q->peer_addr))
		addr_from4(&q->peer_addr, 0);
	else
		__builtin_memset(&q->peer_addr, 0, sizeof(q->peer_addr));
}

#define ASKED_BY_CALLER 8 /* the NIC's end opened the connection */
#define ASKED_BACK 16 /* the question is about the other direction, as if the other end had opened it */

/* Makes the question of NIC `n` about a connection, and gives the verdict if that is remembered, else VERDICT_NONE. */
GLOBAL verdict_known(struct context *c, struct ct *e, const struct nic *n, int how)
{
	if (!c || !e || !n)
		return VERDICT_NONE;
	struct packet *p = &c->packet;
	struct question *q = &c->question;
	int calls = !!(how & ASKED_BY_CALLER), reply = !!(how & FLOW_REPLY), sends = calls != reply;

	if (how & ASKED_BACK) {
		q->direction = calls ? DIRECTION_INGRESS : DIRECTION_EGRESS;
		q->port = policy_port(p, !reply);
		q->of = sends == !!(how & FLOW_FROM_B) ? REMEMBERED_BACK_B : REMEMBERED_BACK_A;
		return policy_known(c, q, e);
	}
	q->set = n->set;
	q->incarnation = n->incarnation;
	q->revision = n->revision;
	q->protocol = p->protocol;
	q->port = policy_port(p, reply);
	q->here_port = sends ? p->src_port : p->dst_port;
	q->there_port = sends ? p->dst_port : p->src_port;
	q->peer_addr = sends ? p->dst : p->src;
	if (calls) {
		q->direction = DIRECTION_EGRESS;
		q->of = REMEMBERED_EGRESS;
		q->peer = reply ? verdict_answerer(c) : c->destination;
	} else {
		q->direction = DIRECTION_INGRESS;
		q->of = REMEMBERED_INGRESS;
		/* On the other side of the stack the address may be a translated one: the entry's identity counts. Else that of the address is newer. */
		q->peer = reply ? !(e->flags & CT_STACK) && c->destination > IDENTITY_RESERVED ? c->destination : e->source : c->source;
		verdict_hide(q, sends ? c->destination : c->sender);
	}
	return policy_known(c, q, e);
}

static __always_inline int verdict_one(struct __sk_buff *skb, struct context *c, struct ct *e, const struct nic *n, int how)
{
	int verdict = verdict_known(c, e, n, how);

	return verdict == VERDICT_NONE ? policy_ask(skb, c, e) : verdict;
}

/* The verdict of the NIC on one end. A connection is judged once per end, in the direction in which it was opened:
 * egress at the NIC that called, ingress at the NIC that was called; packets of both directions ask the same remembered verdict. Of one
 * that was adopted it is not known which end called, so each NIC is asked about both directions: the first verdict is returned, unless
 * only the second one denies. policy_reason says what a verdict means for a packet. */
static __always_inline int verdict_at(struct __sk_buff *skb, struct context *c, struct flow *f, const struct nic *n, int calls)
{
	struct ct *e = f->entry;
	int how = (calls ? ASKED_BY_CALLER : 0) | flow_how(f), verdict, back;

	if (e->flags & CT_LOOPBACK)
		return VERDICT_ALLOW; /* a workload may always talk to itself */
	verdict = verdict_one(skb, c, e, n, how);
	if (!(e->flags & CT_ADOPTED) || policy_reason(verdict))
		return verdict;
	back = verdict_one(skb, c, e, n, how | ASKED_BACK);
	return policy_reason(back) ? back : verdict;
}

#endif
