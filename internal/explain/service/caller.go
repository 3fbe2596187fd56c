package service

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// callerKind says where the packets of a caller are seen first.
type callerKind uint8

const (
	aPod callerKind = iota // of this node
	aFarPod
	thisNode
	aFarNode
	aMachine // outside the cluster
)

// caller is who calls.
type caller struct {
	kind    callerKind
	name    string     // as package explain finds it
	address netip.Addr // of the family of what is called
	node    string     // of a pod or node elsewhere; empty: not known
}

func (c caller) String() string {
	if text := c.address.String(); c.address.IsValid() && text != c.name {
		return fmt.Sprintf("%s (%s)", c.name, text)
	}
	return c.name
}

// caller finds who calls an address, by what people know of it.
func (n Node) caller(r state.Reader, from string, to netip.Addr) (c caller, err error) {
	var owns []netip.Addr
	if a, bad := netip.ParseAddr(from); bad == nil {
		owns = []netip.Addr{a.Unmap()}
		c = n.callerAt(r, owns[0])
	} else if c, owns, err = n.callerNamed(r, from); err != nil {
		return c, err
	}
	for _, a := range owns {
		if a.Is4() == to.Is4() {
			c.address = a
			return c, nil
		}
	}
	return c, fmt.Errorf("from: %s has no address of the family of %s", c.name, to)
}

func (n Node) callerNamed(r state.Reader, from string) (caller, []netip.Addr, error) {
	if from == identity.Host.Name() {
		if row, known := n.Tables.LocalNode(r); known {
			return caller{kind: thisNode, name: from, node: row.Name}, row.Addresses, nil
		}
		return caller{}, nil, errors.New("from: the addresses of this node are not known yet")
	}
	namespace, name, ok := strings.Cut(from, "/")
	if !ok || namespace == "" || name == "" {
		return caller{}, nil, fmt.Errorf("from: %q is no NAMESPACE/NAME of a pod, no address and not host", from)
	}
	key := table.ObjectKey(namespace, name)
	for w := range n.Tables.Workloads.By(r, table.ByPod, key) {
		return caller{kind: aPod, name: from}, w.Addresses, nil
	}
	if e, ok := n.Tables.Endpoints.One(r, key); ok {
		return caller{kind: aFarPod, name: from, node: n.nodeAt(r, e.Node)}, e.Addresses, nil
	}
	if p, ok := n.Tables.Pods.One(r, key); ok && p.HostNetwork {
		return n.callerNamed(r, identity.Host.Name())
	}
	return caller{}, nil, fmt.Errorf("from: there is no pod %s with a network of its own; of a pod on the host network give its node's address", from)
}

// callerAt is who has an address.
func (n Node) callerAt(r state.Reader, a netip.Addr) caller {
	for w := range n.Tables.Workloads.By(r, table.ByAddress, state.Join(a)) {
		if w.Network == 0 {
			return caller{kind: aPod, name: w.Namespace + "/" + w.Pod}
		}
	}
	for e := range n.Tables.Endpoints.By(r, table.ByAddress, state.Join(a)) {
		return caller{kind: aFarPod, name: e.Namespace + "/" + e.Name, node: n.nodeAt(r, e.Node)}
	}
	local, node := n.here(r), n.nodeAt(r, a)
	if row, ok := n.placeOf(r, a); ok && isThisNode(row) {
		node = local
	}
	switch node {
	case "":
		return caller{kind: aMachine, name: a.String()}
	case local:
		return caller{kind: thisNode, name: identity.Host.Name(), node: local}
	}
	return caller{kind: aFarNode, name: "node:" + node, node: node}
}

// here is the name of this node.
func (n Node) here(r state.Reader) string {
	row, _ := n.Tables.LocalNode(r)
	return row.Name
}

// nodeAt is the name of the node that has an address; empty: none.
func (n Node) nodeAt(r state.Reader, a netip.Addr) string {
	for row := range n.Tables.Nodes.All(r) {
		if slices.Contains(row.Addresses, a) {
			return row.Name
		}
	}
	return ""
}
