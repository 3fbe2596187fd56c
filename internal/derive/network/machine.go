package network

import (
	"cmp"
	"encoding/json"
	"net"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// asked are the networks that a pod asks for, with what the machine in it says of them. own are the same without that: what has been made of one
// stays as long as it is asked for, and a machine's NICs are not made anew while it runs. no: not before more is known, or never.
func asked(r state.Reader, p table.Pod) (requests, own []attachment.Request, no *refusal) {
	own, gaps := Requests(p)
	if len(gaps) > 0 {
		return nil, nil, &refusal{complaint(cncfv1.NetworksAnnotation, gaps), keeps, false}
	}
	guest, runs := machine.Of(r, p)
	switch {
	case !runs || len(own) == 0:
		return own, own, nil
	case guest.Lacks != "":
		return nil, own, &refusal{guest.Lacks + ", which says what its NICs are, has not come from the API server yet", keeps, false}
	}
	requests, gaps = kubevirt.Ask(guest, own)
	if len(gaps) > 0 {
		return nil, own, &refusal{gap.Text(gaps), "correct the machine; its pod keeps the NICs that it has", false}
	}
	return requests, own, nil
}

// takesMAC are types of plugins that give a NIC the MAC address which they are told.
var takesMAC = map[string]bool{"macvlan": true, "bridge": true, "cnv-bridge": true, "tap": true, attachment.OwnType: true}

// kept gives a request of a machine's pod that says no MAC address the machine's own in that network: the same at each start, on each node. A
// machine of another cluster on the same wire may have its name, and has another UID.
func kept(r state.Reader, p table.Pod, d attachment.Definition, q attachment.Request) attachment.Request {
	guest, runs := machine.Of(r, p)
	uid := cmp.Or(guest.Machine.UID, guest.Instance.UID)
	m := d.Main()
	if !runs || uid == "" || q.MAC != nil || m == nil || !takesMAC[m.Type] {
		return q
	}
	var macvlan struct {
		Mode string `json:"mode"`
	}
	if json.Unmarshal(m.Raw, &macvlan) != nil || macvlan.Mode == "passthru" { // it would be the uplink's, too
		return q
	}
	q.MAC, _ = net.ParseMAC(attach.MAC("vm/"+guest.Title()+"/"+uid, q.Namespace+"/"+q.Name+"/"+q.Interface)) // it is one
	return q
}

const keeps = "the pod keeps the NICs that it has until the annotation makes sense"
