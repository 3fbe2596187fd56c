/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* node: the node's own policy (host firewall). The node is the NIC of ifindex 0, whose row is in `nics` as long as a policy
 * selects the node. Its connections pass the host's stack, so all have CT_STACK. */
#ifndef WEFT_NODE_H
#define WEFT_NODE_H

#include "deliver.h"
#include "overlay.h"

#define PORT_DHCP_SERVER 67 /* RFC 2131 4.1 */
#define PORT_DHCP_CLIENT 68
#define PORT_DHCP6_CLIENT 546 /* RFC 8415 7.2 */
#define PORT_DHCP6_SERVER 547
#define PORT_HEALTH 4240
#define IPPROTO_VRRP 112 /* RFC 9568 5.1.1.3: whose packets have a hop limit of 255 */

static __always_inline struct nic *node_nic(void)
{
	return nic_at(0);
}

/* DHCP of the node as a client; a node that is a server needs a rule. A DHCPv6 client asks from a link-local address, which no router
 * lets leave the link, and is answered there (RFC 8415 7.1, 18.3.10). A DHCPv4 server may be behind a relay, and the
 * hop limit of its answer says nothing (RFC 2131 4.1, 4.3.2): ports are all that
 * there is to check. */
static __always_inline int host_leases(const struct packet *p, int sends)
{
	__u16 client = p->v6 ? PORT_DHCP6_CLIENT : PORT_DHCP_CLIENT, server = p->v6 ? PORT_DHCP6_SERVER : PORT_DHCP_SERVER;

	if (bpf_ntohs(sends ? p->src_port : p->dst_port) != client || bpf_ntohs(sends ? p->dst_port : p->src_port) != server)
		return 0;
	return !p->v6 || addr_is_link_local6(&p->src) || addr_is_link_local6(&p->dst);
}

/* What a node needs on its link whatever policies say: neighbour discovery, multicast listeners, its own leases of addresses, VRRP.
 * Only at the node's own devices: from farther away, and from workloads, it is none of that. */
static __always_inline int node_links(const struct context *c)
{
	const struct packet *p = &c->packet;

	if (c->hook != HOOK_FROM_NET && c->hook != HOOK_TO_NET)
		return 0;
	switch (p->protocol) {
	case IPPROTO_ICMPV6:
		if (p->ttl == 255)
			return p->icmp_type >= ICMP6_ND_ROUTER_SOLICIT && p->icmp_type <= ICMP6_ND_REDIRECT;
		return p->ttl == 1 && icmp_is_listener(p);
	case IPPROTO_UDP:
		return host_leases(p, c->hook == HOOK_TO_NET);
	case IPPROTO_VRRP:
		return p->ttl == 255;
	default:
		return 0;
	}
}

/* That, and what nodes say to each other: the tunnel, and calls of the health port. By the port that is called, since any peer may
 * call from any port; answers belong to their connection. */
static __always_inline int node_exempt(const struct context *c, const struct addr *peer)
{
	const struct packet *p = &c->packet;
	struct ipcache *other;

	if (node_links(c))
		return 1;
	if (!overlay_is(p) && (p->protocol != IPPROTO_TCP || p->dst_port != bpf_htons(PORT_HEALTH)))
		return 0;
	other = ipcache_lookup(peer, c->net);
	return other && (other->flags & IPCACHE_NODE);
}

/* The node's verdict on a packet that it gets or sends, whose connection is found already. */
static __always_inline int node_verdict(struct __sk_buff *skb, struct context *c, struct flow *f, int sends)
{
	const struct packet *p = &c->packet;
	struct nic *n = node_nic();

	if (!n || (f->entry->flags & CT_EXEMPT) || node_exempt(c, sends ? &p->dst : &p->src))
		return VERDICT_ALLOW;
	return verdict_at(skb, c, f, n, sends ? !f->reply : f->reply);
}

#define NODE_GETS 0
#define NODE_SENDS 1
#define NODE_CARRIES 2 /* forwards, with the node's address as source (netfilter's masquerade): the answers come to the node */

/* The same at the node's own devices, where the connection is not found yet. Returns 0 or a drop reason. */
GLOBAL node_enforce(struct __sk_buff *skb, int does)
{
	struct context *c = context_here();
	struct flow f = {};
	struct packet *p;
	int reason, exempt;

	if (!c || !node_nic())
		return 0;
	p = &c->packet;
	if (p->icmp_error && !related(skb, 0))
		return 0;
	exempt = does == NODE_CARRIES || node_exempt(c, does == NODE_SENDS ? &p->dst : &p->src);
	if (exempt && does != NODE_CARRIES && p->protocol != IPPROTO_TCP)
		return 0; /* what is not TCP is exempt in both directions */
	ct_find(c, p, &f);
	if (!f.entry) {
		if (does == NODE_CARRIES)
			p->owner = OWNER_CARRIED;
		reason = open_connection(&f, CT_STACK | (exempt ? CT_EXEMPT : 0) | (does == NODE_SENDS ? 0 : CT_CALLED));
		if (!f.entry)
			return reason;
	}
	reason = exempt ? 0 : policy_reason(node_verdict(skb, c, &f, does == NODE_SENDS));
	if (reason) {
		if (f.is_new)
			ct_remove(f.key);
		return reason;
	}
	reason = ct_update(c, &f);
	if (reason)
		return reason;
	if (does != NODE_CARRIES && !(f.entry->flags & CT_EXEMPT))
		deliver_report(skb, c, &f, does == NODE_SENDS ? EVENT_TO_NETWORK : EVENT_TO_STACK);
	return 0;
}

/* The node's policy for what leaves its stack: sent by one of its sockets, or forwarded with its address. Returns 0 or a drop reason. */
static __always_inline int node_leaves(struct __sk_buff *skb, struct context *c)
{
	int does = c->source == IDENTITY_HOST ? NODE_SENDS : NODE_CARRIES, reason;
	struct nic *n = node_nic();

	if (!n || (does == NODE_CARRIES && !ipcache_is_this_node(ipcache_lookup(&c->packet.src, c->net))))
		return 0;
	reason = fragment_meet(c);
	if (!reason)
		reason = node_enforce(skb, does);
	return reason || !c->packet.first_fragment ? reason : fragment_keep(does == NODE_SENDS ? n->incarnation : 0);
}

#endif
