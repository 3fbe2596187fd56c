// Package dhcp is a DHCPv4 client that keeps a lease: which messages it says, when, and what it takes of the answers. It has no socket, no clock and
// no disk: its keeper hands it the time and what came by the wire, and sends what it says.
//
// # The world it models
//
//	DISCOVER ->  <- OFFER      selecting     any server of the wire
//	REQUEST  ->  <- ACK        requesting    the one that was first
//	                           bound         nothing is said
//	REQUEST  ->  <- ACK        renewing      from half of the lease on, to that server alone
//	REQUEST  ->  <- ACK        rebinding     from seven eighths on, to any
//	                           lost          at its end, or when a server says NAK: it begins anew
//	RELEASE  ->                              when its owner goes
//
// A Lease is all that must outlive the process: Resume goes on with it, and asks nothing before its time.
//
// # Invariants
//
//   - An address is held until its lease ends, and not a moment longer (TestAClientHoldsWhatASlowOneHolds).
//   - What a server says is a stranger's word. It is taken if it makes sense as a whole: an address that a NIC may have, within its subnet, for ten
//     seconds or longer. Name servers are addresses, names are names, lists are short; all else is left unread. Nothing of it becomes a file or
//     a command. No message makes it panic (FuzzTake).
//   - Routes are taken if the network's definition requests them, and only by way of the lease's own subnet. A default route is none of them:
//     which NIC has it is the pod's to say.
//
// Sources: RFC 2131 (4.4: the client), RFC 2132 (options), RFC 3442 (classless routes), RFC 3397 (search list); containernetworking/plugins, documentation of dhcp.
//
// # Example
//
//	m := dhcp.New(config, now)
//	for _, p := range m.Tick(now).Send { … }   // again at m.Next()
//	out := m.Take(now, payload, mac)           // out.Event says what became of the lease
package dhcp
