// Package flow knows the words of flows: how Hubble numbers, names and prints what the network did.
//
// A flow is one thing that happened to a packet at one place: a policy gave its verdict, the packet was dropped, a
// connection passed a point on its way. Flows are Hubble's own protobuf messages (flow.Flow of cilium/cilium
// api/v1), so that every Hubble client reads them; this package adds what the messages leave to their readers: texts,
// the lines that `hubble observe` prints, and field masks. It makes no flows (internal/observe does) and keeps none.
// docs/compatibility.md, section Hubble, says which of them occur.
//
// Invariants: numbers and texts are those of upstream, also where the two disagree with each other (drop reason 136
// is CT_MISSING_TCP_ACK_FLAG and prints "Fragmentation needed"); a number without a text prints as digits; no text
// that came from the network reaches a terminal with control characters in it.
//
//	p := flow.NewPrinter(os.Stdout, flow.PrinterOptions{Output: flow.Compact, IPTranslation: true, PolicyNames: true})
//	p.Print(response)
//	// Jan  2 15:04:05.000: shop/web-1:4000 (ID:4711) -> shop/db-0:5432 (ID:815) policy-verdict:L3-L4 INGRESS ALLOWED BY db (CiliumNetworkPolicy) (TCP Flags: SYN)
package flow
