package kubevirt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"slices"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/machine"
)

// Interface is the name that KubeVirt gives the NIC of a network in the machine's pod (its pkg/network/namescheme).
func Interface(network string) string {
	sum := sha256.Sum256([]byte(network))
	return "pod" + hex.EncodeToString(sum[:])[:11]
}

// text is an annotation by which a machine asks for networks, and where it stands.
type text struct {
	of, text string
	nics     []machine.NIC
}

// says are the annotations and NICs by which a machine asks for networks.
func says(g machine.Guest) []text {
	if g.Machine.Name == "" {
		return []text{{fmt.Sprintf("VirtualMachineInstance %s metadata", g.Title()), g.Instance.Asked, g.Instance.NICs}}
	}
	of := "VirtualMachine " + g.Title()
	return []text{{of + " metadata", g.Machine.Own, g.Machine.NICs}, {of + " spec.template.metadata", g.Machine.Template, g.Machine.NICs}}
}

// Ask adds to the requests of a machine's pod what the machine asks for itself, as if that stood in the pod's annotation, which KubeVirt
// writes: requests and items are of one NIC if they name one definition, or, of several by one definition, in the order of the machine's
// networks. Items that no NIC of the machine is of count for nothing. The gaps say where two say what cannot both be.
func Ask(g machine.Guest, requests []attachment.Request) ([]attachment.Request, []gap.Gap) {
	requests = slices.Clone(requests)
	var gaps []gap.Gap
	for _, said := range says(g) {
		items, wrong := attachment.Requests(said.text, g.Namespace)
		for _, w := range wrong {
			w.Field = said.at(w.Field)
			gaps = append(gaps, w)
		}
		if len(wrong) > 0 {
			continue
		}
		for i := range items {
			if at := said.request(items, i, requests); at >= 0 {
				gaps = append(gaps, join(&requests[at], items[i], said)...)
			}
		}
	}
	nics := g.Machine.NICs
	if g.Machine.Name == "" {
		nics = g.Instance.NICs
	}
	for i := range requests {
		gaps = append(gaps, hardware(g, &requests[i], nics)...)
	}
	return requests, gaps
}

// at is a field of the annotation in words.
func (t text) at(field string) string {
	return fmt.Sprintf("%s.annotations[%s]%s", t.of, cncfv1.NetworksAnnotation, field)
}

// request finds the request that an item is about; -1: none.
func (t text) request(items []attachment.Request, item int, requests []attachment.Request) int {
	same := func(a, b attachment.Request) bool { return a.Namespace == b.Namespace && a.Name == b.Name }
	nth := 0
	for i := range item {
		if same(items[i], items[item]) {
			nth++
		}
	}
	var nics []string // of the definition, as the pod has them
	for _, n := range t.nics {
		if n.Definition == items[item].Namespace+"/"+items[item].Name {
			nics = append(nics, Interface(n.Name))
		}
	}
	if nth < len(nics) {
		if at := slices.IndexFunc(requests, func(q attachment.Request) bool { return q.Interface == nics[nth] && same(q, items[item]) }); at >= 0 {
			return at
		}
	}
	for at, q := range requests { // a pod whose NICs have names of the former kind: net1 and on, in the order of networks
		if same(q, items[item]) && !slices.Contains(nics, q.Interface) {
			if nth == 0 {
				return at
			}
			nth--
		}
	}
	return -1
}

// join puts an item of a machine into the request of its pod.
func join(q *attachment.Request, item attachment.Request, said text) (gaps []gap.Gap) {
	differ := func(field string, have, asked any) {
		gaps = append(gaps, gap.Gap{
			Reason: gap.Invalid, Field: said.at(item.Field + "." + field),
			Message: fmt.Sprintf("it asks for %v, and the pod's annotation, or another of the machine, for %v; keep one", asked, have),
		})
	}
	if len(q.Addresses) == 0 {
		q.Addresses = item.Addresses
	} else if len(item.Addresses) > 0 && !slices.Equal(q.Addresses, item.Addresses) {
		differ("ips", q.Addresses, item.Addresses)
	}
	if q.MAC == nil {
		q.MAC = item.MAC
	} else if item.MAC != nil && !bytes.Equal(q.MAC, item.MAC) {
		differ("mac", q.MAC, item.MAC)
	}
	if len(q.DefaultRoute) == 0 {
		q.DefaultRoute = item.DefaultRoute
	} else if len(item.DefaultRoute) > 0 && !slices.Equal(q.DefaultRoute, item.DefaultRoute) {
		differ("default-route", q.DefaultRoute, item.DefaultRoute)
	}
	if q.IPAMClaim == "" {
		q.IPAMClaim = item.IPAMClaim
	} else if item.IPAMClaim != "" && q.IPAMClaim != item.IPAMClaim {
		differ("ipam-claim-reference", q.IPAMClaim, item.IPAMClaim)
	}
	return gaps
}

// hardware gives a request the MAC address of its machine's interface, which its guest has whatever else is said.
func hardware(g machine.Guest, q *attachment.Request, nics []machine.NIC) []gap.Gap {
	for _, n := range nics {
		if n.Definition != q.Namespace+"/"+q.Name || Interface(n.Name) != q.Interface || n.MAC == "" {
			continue
		}
		a, err := net.ParseMAC(n.MAC)
		if err != nil || len(a) != 6 {
			continue // KubeVirt refuses it
		}
		if q.MAC != nil && !bytes.Equal(q.MAC, a) {
			return []gap.Gap{{
				Reason: gap.Invalid, Field: fmt.Sprintf("VirtualMachine %s interface %s.macAddress", g.Title(), n.Name),
				Message: fmt.Sprintf("it is %s, and an annotation asks for %s; the guest can have one", a, q.MAC),
			}}
		}
		q.MAC = a
	}
	return nil
}
